"""Downloads beside the page: progress, stopping, failing, one at a time by name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from core.jobs.fetch import Fetch, Fetcher
from core.types import ShiftlabError, StepEvent, Stopped
from tests.jobs.helpers import PATIENCE, wait_until


def until(fetcher: Fetcher, what: Callable[[Fetch], bool]) -> Fetch:
    wait_until(lambda: what(fetcher.list()[-1]))
    return fetcher.list()[-1]


def test_progress_stop_and_going_on():
    begun, go = threading.Event(), threading.Event()

    def download(name: str, should_stop: Callable[[], bool]) -> Iterator[StepEvent]:
        yield StepEvent("download", 3, 10, note=f"Fetching {name}.")
        begun.set()
        while not go.wait(0.01):
            if should_stop():
                raise Stopped

    fetcher = Fetcher(download)
    fetcher.start("model")
    assert begun.wait(PATIENCE)
    assert fetcher.list() == [Fetch("model", "running", 3, 10, "Fetching model.")]
    with pytest.raises(ShiftlabError, match="already"):
        fetcher.start("model")
    fetcher.stop("model")
    assert "goes on" in until(fetcher, lambda fetch: fetch.state == "stopped").message
    go.set()
    fetcher.start("model")
    assert until(fetcher, lambda fetch: fetch.state == "done").message == ""


@pytest.mark.parametrize("error", [ShiftlabError("No connection. Check it."), ValueError("odd")])
def test_every_failure_is_a_sentence(error):
    def download(name: str, should_stop: Callable[[], bool]) -> Iterator[StepEvent]:
        raise error
        yield

    fetcher = Fetcher(download)
    fetcher.start("model")
    failed = until(fetcher, lambda fetch: fetch.state == "failed")
    assert failed.message.endswith(".") and "odd" not in failed.message


def test_an_unexpected_error_stands_in_the_servers_log(capsys):
    def reading(name: str, should_stop: Callable[[], bool]) -> Iterator[StepEvent]:
        raise ValueError("odd")
        yield

    fetcher = Fetcher(reading)
    fetcher.start("a set")
    message = until(fetcher, lambda fetch: fetch.state == "failed").message
    assert "The server's log tells the whole story; you may try again." in message and "resume" not in message
    assert "ValueError: odd" in capsys.readouterr().err

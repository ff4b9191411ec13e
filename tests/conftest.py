"""What holds for every test: offline, and no connection to another machine, however well hidden in a try block."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors: more threads only wait for each other
os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")  # read at import

import pytest

from core.imports import nothing_collected
from tests import socket_guard

socket_guard.install()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    with nothing_collected():  # the tests import a million objects of torch, diffusers and gradio
        return (yield)


@pytest.fixture(autouse=True)
def only_this_machine() -> Iterator[None]:
    """Fails the test in which anything tried to reach another host, even where the error was swallowed."""
    with socket_guard.watch() as seen:
        yield
    assert not seen, f"This test tried to reach another machine: {seen}"

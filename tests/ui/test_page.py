from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from gradio.state_holder import SessionState

from core.lab import Lab
from tests.ports import free_port
from ui import launch
from ui.page import build_page

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def no_server() -> None:
    """This page is served."""


@pytest.fixture
def page(tmp_path: Path) -> Iterator[gr.Blocks]:
    lab = Lab(tmp_path / "home", tmp_path / "none", "cpu")
    yield build_page(lab)
    lab.close()


def test_a_page_that_is_open_all_day_loses_nothing(page: gr.Blocks) -> None:
    """As Gradio keeps states: from the last time an event gave one."""
    session = SessionState(page)
    for state in (block for block in page.blocks.values() if isinstance(block, gr.State)):
        session[state._id] = session[state._id]
    for id, (seconds, _) in list(session._state_ttl.items()):
        session._state_ttl[id] = (seconds, datetime.datetime.now() - datetime.timedelta(days=1))
    kept = list(session.state_components)
    assert kept and not [state for state, _, expired in kept if expired]


def test_a_server_that_runs_for_weeks_keeps_the_pages_that_were_used_last(page: gr.Blocks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "SESSIONS_KEPT", 3)
    launch.launch(page, "127.0.0.1", free_port(), "1mb", block=False)
    try:
        kept = page.state_holder
        assert all(kept[name] for name in ("first", "second", "third", "first", "fourth"))
        assert [name in kept for name in ("first", "second", "third", "fourth")] == [True, False, True, True]
    finally:
        page.close()

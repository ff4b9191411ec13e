"""What a visitor leaves behind: kept while the page is open, and gone with it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from gradio.state_holder import SessionState

from core.lab import Lab
from ui.page import build_page


@pytest.fixture
def page(tmp_path: Path) -> Iterator[gr.Blocks]:
    lab = Lab(tmp_path / "home", tmp_path / "none", "cpu")
    yield build_page(lab)
    lab.close()


def test_states_last_as_long_as_their_page_and_no_longer(page: gr.Blocks) -> None:
    """As Gradio keeps them: every state of the page is given by some event, so that it has a time, and that time ends with the tab."""
    states = [block for block in page.blocks.values() if isinstance(block, gr.State)]
    given = {output for event in page.fns.values() for output in event.outputs}
    assert states and set(states) <= given
    session = SessionState(page)
    for state in states:
        session[state._id] = session[state._id]
    for id, (seconds, _) in list(session._state_ttl.items()):
        session._state_ttl[id] = (seconds, datetime.datetime.now() - datetime.timedelta(days=1))
    assert not [state for state, _, expired in session.state_components if expired], "a page that is open all day loses nothing"
    session.is_closed = True
    assert {state for state, _, expired in session.state_components if expired} == set(states)


def test_what_changes_in_place_is_given_as_it_is(page: gr.Blocks) -> None:
    event = next(event for event in page.fns.values() if event.inputs and event.inputs == event.outputs)
    same = tuple(object() for _ in event.inputs)
    assert event.fn(*same) == same and all(isinstance(part, gr.State) for part in event.inputs)

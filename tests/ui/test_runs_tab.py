"""The Runs tab's handlers, on jobs that are rows in a list."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr
import pytest

from core.types import ShiftlabError
from tests.ui.adapt_lab import Row
from tests.ui.oneshot_lab import OneShotLab
from ui.runs_show import ALL
from ui.runs_tab import Looking, RunsTab
from ui.state import create_shared


class RunsLab(OneShotLab):
    """One that deletes."""

    def delete(self, id: str) -> None:
        if id not in [row.id for row in self.rows]:
            raise ShiftlabError("This run is no longer there.")
        self.rows = [row for row in self.rows if row.id != id]


class Guest:
    """One visitor: what the page shows, changed as the handlers say."""

    def __init__(self, tab: RunsTab) -> None:
        self.tab, self.looking, self.shown = tab, Looking(), {}
        self.values = {tab.looking: self.looking, tab.words: "", tab.state: ALL, tab.against: None}
        self.does(tab.refresh)

    def does(self, handler, *events) -> None:
        for part, update in handler(self.values, *events).items():
            change = update if isinstance(update, dict) and "__type__" in update else {"value": update}
            self.shown.setdefault(part, {}).update(change)

    def chooses(self, id: str) -> None:
        self.does(self.tab.choose, SimpleNamespace(_data={"id": id}))

    def sees(self, part) -> bool:
        return self.shown.get(part, {}).get("visible", False)

    @property
    def told(self) -> str:
        return self.shown[self.tab.message]["value"]


@pytest.fixture
def tab(tmp_path, monkeypatch):
    monkeypatch.setattr("ui.runs_tab.export_run", lambda job, path: path)
    with gr.Blocks() as page:
        shared = create_shared(page)
        with gr.Tabs() as shared.tabs, gr.Tab("Runs", id="runs") as shared.tab["runs"]:
            made = RunsTab(RunsLab(tmp_path / "home"), shared)
            made.wire()
    made.lab.rows = [Row(id, f"run {id}", "classify", {}, tmp_path / id, state="done") for id in "cba"]
    return made


@pytest.mark.long
def test_only_the_run_that_was_asked_about_is_deleted(tab):
    guest = Guest(tab)
    guest.chooses("b")
    guest.does(tab.ask_to_delete)
    assert guest.sees(tab.confirm)
    tab.lab.delete("b")  # in another window
    guest.does(tab.refresh)
    assert guest.looking.id == "c" and not guest.sees(tab.confirm)
    guest.does(tab.delete_it)  # pressed before the page heard of it
    assert "no longer there" in guest.told and [row.id for row in tab.lab.rows] == ["c", "a"]


def test_a_run_is_kept_or_deleted(tab):
    guest = Guest(tab)
    guest.does(tab.ask_to_delete)
    guest.does(tab.keep_it)
    assert not guest.sees(tab.confirm) and len(tab.lab.rows) == 3
    guest.does(tab.ask_to_delete)
    guest.chooses("a")
    assert not guest.sees(tab.confirm)
    guest.does(tab.ask_to_delete)
    guest.does(tab.delete_it)
    assert not guest.sees(tab.confirm) and [row.id for row in tab.lab.rows] == ["c", "b"]


def test_whatever_waits_or_runs_can_be_cancelled(tab):
    guest, (first, *_) = Guest(tab), tab.lab.rows
    assert not guest.sees(tab.cancel)
    for state in ("queued", "running"):
        first.state = state
        guest.does(tab.refresh)
        assert guest.sees(tab.cancel) and not guest.sees(tab.delete)
    guest.does(tab.cancel_it)
    assert tab.lab.asked_for == [("cancel", first.id)]
    first.state = "cancelling"
    guest.does(tab.refresh)
    assert not guest.sees(tab.cancel)

"""What Tune tells its page of the run that it watches, also where an answer was overtaken by a newer one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from core.jobs.store import Job
from tests.ui.fake_lab import FakeLab
from ui.state import create_shared
from ui.tune_tab import TuneTab


class LabWithRun(FakeLab):
    """One run, whose state a test changes."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.job = Job(
            id="one", name="my sketch", method="diffusionclip", kind="tune", state="running", step=4, total=80, eta_s=60.0, message="",
            created=0.0, finished=None, folder=folder, settings={},
        )  # fmt: skip

    def list(self) -> list[Job]:
        return [self.job]

    def events(self, id: str) -> list[dict[str, float]]:
        return []

    def sample_strip(self, id: str) -> list[tuple[int, list[Path]]]:
        return []

    def becomes(self, state: str) -> None:
        self.job = replace(self.job, state=state)


@pytest.fixture
def lab(tmp_path: Path) -> LabWithRun:
    return LabWithRun(tmp_path)


@pytest.fixture
def tab(lab: LabWithRun) -> TuneTab:
    with gr.Blocks() as page:
        shared = create_shared(page)
        with gr.Tabs() as shared.tabs, gr.Tab("Tune", id="tune") as shared.tab["tune"]:
            return TuneTab(lab, shared)


@pytest.fixture
def page(tab: TuneTab) -> dict[Any, Any]:
    """What the page sends with every event: it shows the run."""
    values = {tab.seen: tab.seen.value, tab.watch.progress: tab.watch.progress.value, tab.watch.run: "one"}
    values[tab.watch.progress] = tab.choose_run(values)[tab.watch.progress]
    return values


def visible(updates: dict[Any, Any], button: Any) -> bool:
    return updates[button]["visible"]


def test_nothing_is_told_twice(tab: TuneTab, page: dict[Any, Any]) -> None:
    assert tab.poll(page) == {}


def test_a_run_that_stops_offers_to_go_on(tab: TuneTab, lab: LabWithRun, page: dict[Any, Any]) -> None:
    lab.becomes("cancelled")
    updates = tab.tick(page)
    assert visible(updates, tab.watch.resume) and not visible(updates, tab.watch.cancel)


def test_an_older_answer_that_comes_last_is_painted_over(tab: TuneTab, lab: LabWithRun, page: dict[Any, Any]) -> None:
    lab.becomes("cancelling")
    older = tab.tick(page)  # a clock's answer, on its way for long
    lab.becomes("cancelled")
    tab.asked(lambda id: None)(page)  # a button's answer, which overtakes it
    assert not visible(older, tab.watch.resume)
    page[tab.watch.progress] = older[tab.watch.progress]
    again = tab.tick(page)
    assert visible(again, tab.watch.resume) and ">cancelled<" in again[tab.watch.progress]

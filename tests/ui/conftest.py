"""The Edit tab on a lab without networks, and one visitor of it."""

from __future__ import annotations

import gradio as gr
import pytest

from tests.ui.fake_lab import FakeLab
from tests.ui.visitor import Visitor
from ui.edit_tab import EditTab
from ui.state import create_shared


@pytest.fixture(scope="module")
def tab() -> EditTab:
    """Built once: the tab itself keeps nothing of a visitor."""
    with gr.Blocks() as page:
        shared = create_shared(page)
        with gr.Tabs() as shared.tabs, gr.Tab("Edit", id="edit") as shared.tab["edit"]:
            tab = EditTab(FakeLab(), shared)
            tab.wire()
    return tab


@pytest.fixture
def lab(tab: EditTab) -> FakeLab:
    tab.lab.forget()
    return tab.lab


@pytest.fixture
def visitor(tab: EditTab, lab: FakeLab) -> Visitor:
    visitor = Visitor(tab)
    visitor.take(visitor.tab.start(visitor.values))
    visitor.take(visitor.tab.settled(visitor.values))
    return visitor

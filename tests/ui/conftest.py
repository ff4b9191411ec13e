"""The Edit tab on a lab without networks, and one visitor of it."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr
import pytest
from gradio.routes import App

from tests.ui.fake_lab import FakeLab
from tests.ui.visitor import Visitor
from ui.edit_tab import EditTab
from ui.state import create_shared


@pytest.fixture(autouse=True, scope="module")
def no_server() -> Iterator[None]:
    """Each Blocks makes its routes twice, a quarter of a second in all, for a server that no test of a tab starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(App, "create_app", lambda *_, **__: None)
        yield


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

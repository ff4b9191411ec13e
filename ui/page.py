"""The page: a line that says what is loaded and what is running, and the tabs in order. Only this file knows them all."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui import adapt_tab, data_tab, edit_tab, models_tab, oneshot_tab, runs_tab, tune_tab
from ui.events import QUIET, switch_timers
from ui.state import create_shared
from ui.status import status_html

TABS = (
    ("data", "Data", data_tab), ("edit", "Edit", edit_tab), ("tune", "Tune", tune_tab), ("adapt", "Adapt", adapt_tab),
    ("oneshot", "One-shot", oneshot_tab), ("models", "Models", models_tab), ("runs", "Runs", runs_tab),
)  # fmt: skip
STATUS_SECONDS = 1.0
FILES_KEPT = (3600, 24 * 3600)  # seconds: how often the page's own files are looked through, and how old they get


def build_page(lab: Any) -> gr.Blocks:
    """All of the page on one Lab. Theme, style and headers are given by `ui.launch`."""
    with gr.Blocks(title="Shiftlab", analytics_enabled=False, fill_width=True, delete_cache=FILES_KEPT) as page:
        _status(lab)
        shared = create_shared(page)
        with gr.Tabs(selected="edit", overflow_behavior="wrap", elem_id="tabs") as shared.tabs:
            for key, title, tab in TABS:
                with gr.Tab(title, id=key, elem_id=f"tab-{key}") as shared.tab[key]:
                    tab.build(lab, shared)
        switch_timers(shared)
    return page


def _status(lab: Any) -> None:
    """The line above the tabs; it is sent again only when it says something else."""
    line = gr.HTML(lambda: status_html(lab.status()), elem_id="status-line")
    said = gr.State("")

    def look(before: str) -> tuple[Any, Any]:
        now = status_html(lab.status())
        return (gr.skip(), gr.skip()) if now == before else (now, now)

    gr.Timer(STATUS_SECONDS).tick(look, said, [line, said], queue=False, **QUIET)

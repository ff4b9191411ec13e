"""The page: a header with what is loaded and what is running, and the tabs in order. Only this file knows them all."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import gradio as gr

from ui.state import create_shared

TABS = (("data", "Data"), ("edit", "Edit"), ("tune", "Tune"), ("runs", "Runs"))


def build_page(lab: Any) -> gr.Blocks:
    """All of the page on one Lab. Theme, style and scripts are given to `launch` by app.py."""
    with gr.Blocks(title="Shiftlab", analytics_enabled=False, fill_width=True) as page:
        shared = create_shared(page)
        with gr.Tabs(selected="edit", elem_id="tabs") as shared.tabs:
            for key, title in TABS:
                if find_spec(f"ui.{key}_tab"):
                    with gr.Tab(title, id=key, elem_id=f"tab-{key}") as shared.tab[key]:
                        import_module(f"ui.{key}_tab").build(lab, shared)
    return page

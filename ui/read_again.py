"""The button beside a set that could not be read, or whose reading ended with the lab: a new upload is not needed."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.jobs.sets import SetEntry


def again_button(elem_id: str, elem_classes: str = "") -> gr.Button:
    """Hidden, until `again_update` shows it."""
    return gr.Button("Read again", size="sm", visible=False, min_width=100, scale=0, elem_id=elem_id, elem_classes=elem_classes)


def again_update(entry: SetEntry | None) -> Any:
    """Shows the button where reading this set again may help."""
    return gr.update(visible=entry is not None and entry.state in ("failed", "interrupted"))

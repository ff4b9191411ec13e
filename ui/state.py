"""The few things that tabs share: the images of the Data tab, and what one tab hands to another.

Everything here is per browser session (`gr.State`). A tab listens with `shared.source.change(...)`, and hands over by returning a new
value for one of the states together with `gr.Tabs(selected="tune")` for `shared.tabs`. No state has a time to live, which Gradio counts
from the last change and which would empty a page that is still open.

What lies in a state is compared by identity (`eq=False`): Gradio hashes it to see a change, and pictures and dicts have no hash.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from PIL import Image

from core.data.frame import Frame


@dataclass(frozen=True, eq=False)
class LabImage:
    """One picture as the lab keeps it: RGB, upright, decoded by `core.data.images`, with the name it came under.

    frame: the square that models see of it, around a face; None for the greatest centred one. faces: all squares to choose from.
    """

    name: str
    image: Image.Image
    frame: Frame | None = None
    faces: tuple[Frame, ...] = ()


@dataclass(frozen=True, eq=False)
class ToTune:
    """What the Edit tab hands to Tune: which method, the settings that were chosen (by field name), and the picture it was tried on."""

    method: str
    settings: dict[str, Any]
    images: tuple[LabImage, ...] = ()


@dataclass(frozen=True, eq=False)
class ToEdit:
    """What another tab hands to Edit: the key of the edit to choose. The same edit handed over twice is two of these."""

    edit_key: str


@dataclass
class Shared:
    """The states that cross tabs, the tabs themselves (to select one), and the page (for its load event)."""

    page: gr.Blocks
    source: gr.State  # list[LabImage]
    target: gr.State  # list[LabImage]
    one_shot: gr.State  # list[LabImage] with at most one entry
    to_tune: gr.State  # ToTune | None
    to_edit: gr.State  # ToEdit | None
    to_adapt: gr.State  # id of a labelled set | None
    tabs: gr.Tabs | None = None
    tab: dict[str, gr.Tab] = field(default_factory=dict)  # "data", "edit", "tune", "runs": for `.select`
    timers: list[tuple[str, gr.Timer]] = field(default_factory=list)  # with the tab of each, by `ui.events.timer_of`


def create_shared(page: gr.Blocks) -> Shared:
    """The shared states, made inside the page's context."""
    return Shared(page, gr.State([]), gr.State([]), gr.State([]), gr.State(None), gr.State(None), gr.State(None))

"""What is needed now and then: a model of the hub that is not in the list, and measuring an identity encoder's floor and ceiling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from core.models.identity_bounds import measure_bounds
from core.types import ShiftlabError

FETCH_HELP = (
    "A base by its hub id, or a CLIP by open_clip's name and tag, such as ViT-L-14:openai. It comes from the hub and then stands in the "
    "list."
)
BOUNDS_HELP = (
    "An identity score means little without what the same person and two different people score. Measured on a folder on the lab's machine "
    "with one folder a person and their pictures in it; kept for the loaded encoder."
)


@dataclass(frozen=True)
class More:
    """Two closed headings of the left column."""

    reference: gr.Textbox
    fetch: gr.Button
    people: gr.Textbox
    align: gr.Checkbox
    measure: gr.Button


def build_more() -> More:
    """Inside the open column."""
    with gr.Accordion("Another model of the hub", open=False, elem_classes="card bring"):
        gr.HTML(f'<p class="help">{FETCH_HELP}</p>')
        reference = gr.Textbox(
            "", label="Hub id or MODEL:TAG", max_lines=1, interactive=True, placeholder="google/ddpm-ema-cat-256", elem_id="models-hub-id"
        )
        fetch = gr.Button("Download", elem_id="models-fetch")
    with gr.Accordion("Floor and ceiling of the identity score", open=False, elem_classes="card bring"):
        gr.HTML(f'<p class="help">{BOUNDS_HELP}</p>')
        people = gr.Textbox(
            "", label="Folder of people", max_lines=1, interactive=True, placeholder="/data/people", elem_id="models-people"
        )
        align = gr.Checkbox(
            True, label="Find and align faces", info="in photographs; drawn portraits are taken whole", interactive=True,
            elem_id="models-align",
        )  # fmt: skip
        measure = gr.Button("Measure", elem_id="models-measure")
    return More(reference, fetch, people, align, measure)


def measured(lab: Any, people: str | None, align: bool) -> Iterator[str]:
    """Measures and keeps the loaded encoder's floor and ceiling; gives a line a picture, and at the end what came of it."""
    if lab.identity is None:
        raise ShiftlabError("No identity encoder is loaded. Choose one in the list first.")
    folder = (people or "").strip()
    if not folder:
        raise ShiftlabError("Name a folder that has one folder a person, with their pictures in it.")
    identity = lab.identity
    events = measure_bounds(identity, Path(folder).expanduser(), align, lab.lock)
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            lab.shelf.keep_bounds(identity, end.value)
            yield end.value.said()
            return
        yield f"Measuring: {event.step} of {event.total} pictures."

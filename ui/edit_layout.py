"""The components of the Edit tab: one calm column of controls on the left, the picture large on the right, numbers and history under it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from core.methods import that_edit
from ui.edit_draw import editor, marker, paints
from ui.edit_strengths import PICTURES as STRIP
from ui.forms import Form, build_form
from ui.methods import line_html
from ui.session import Session

SLIDER, BEFORE, AFTER, DIFFERENCE, SIDE = "Slider", "Before", "After", "Difference", "Side by side"
VIEWS = (SLIDER, BEFORE, AFTER, DIFFERENCE, SIDE)
BRING_BACK, COMPARE = "Bring back", "Compare with the one shown"
PROMPTS = ("reference_prompt", "target_prompt")
# The lists follow the method; a value that is on its way from the page while they change must not be refused by Gradio.
LENIENT: dict[str, Any] = {"allow_custom_value": True}


@dataclass(frozen=True)
class Controls:
    """The left column."""

    drop: gr.Image
    face: gr.Dropdown
    examples: gr.Gallery
    method: gr.Dropdown
    line: gr.HTML
    edit: gr.Dropdown
    mixed: gr.Dropdown
    preset: gr.Dropdown
    reference: gr.Textbox
    target: gr.Textbox
    forms: dict[str, Form]
    columns: dict[str, gr.Column]
    strengths: gr.Button
    seed: gr.Number
    go: gr.Button
    live: gr.Checkbox
    message: gr.HTML

    def inputs(self) -> set[Component]:
        """What a request is made of, besides the session."""
        plain = {self.face, self.method, self.edit, self.reference, self.target, self.seed, self.mixed, self.live}
        return plain.union(*(form.inputs() for form in self.forms.values()))


@dataclass(frozen=True)
class Canvases:
    """What can be drawn on the picture."""

    row: gr.Row
    strokes: gr.ImageEditor
    mask: gr.ImageEditor


@dataclass(frozen=True)
class Results:
    """The right column."""

    progress: gr.HTML
    slider: gr.ImageSlider
    image: gr.Image
    view: gr.Radio
    in_photo: gr.Checkbox
    caption: gr.HTML
    download: gr.DownloadButton
    scores: gr.HTML
    strip: gr.Gallery
    gallery: gr.Gallery
    click: gr.Radio

    def outputs(self) -> list[Component]:
        return [getattr(self, name) for name in self.__dataclass_fields__]


def build_layout(lab: Any, presets: list[str]) -> tuple[gr.State, Controls, Canvases, Results]:
    """The session's state and both columns, inside the open tab."""
    session = gr.State(Session())
    with gr.Row(elem_classes="workbench"):
        with gr.Column(scale=0, min_width=300, elem_classes="controls"):
            controls = _controls(lab, presets)
        with gr.Column(scale=1, min_width=300, elem_classes="stage"):
            picture = _picture()
            canvases = _canvases()
            results = _results(*picture)
    return session, controls, canvases, results


def _controls(lab: Any, presets: list[str]) -> Controls:
    with gr.Column(elem_classes="card source"):
        drop = gr.Image(
            label="Image", show_label=False, type="filepath", sources=["upload"], height=220, buttons=[], interactive=True,
            elem_id="edit-image", placeholder="Drop a picture, or choose one below",
        )  # fmt: skip
        face = gr.Dropdown([], label="Face", visible=False, interactive=True, filterable=False, elem_id="edit-face")
        examples = _strip("Examples", "edit-examples")
    names = [(type(method).__name__, key) for key, method in that_edit(lab.methods).items()]
    with gr.Column(elem_classes="card"):
        method = gr.Dropdown(names, value=names[0][1], label="Method", interactive=True, filterable=False, elem_id="edit-method")
        line = gr.HTML(line_html(names[0][1]), elem_classes="under")
        edit = gr.Dropdown([], label="Edit", interactive=True, elem_id="edit-edit", **LENIENT)
        mixed = gr.Dropdown([], value=[], multiselect=True, label="Mix with", interactive=True, elem_id="edit-mixed", **LENIENT)
        preset = gr.Dropdown(presets, value=None, label="Prompts", interactive=True, elem_id="edit-preset")
        reference = gr.Textbox("", label="Reference prompt", interactive=True, max_lines=2, elem_id="edit-reference")
        target = gr.Textbox("", label="Target prompt", interactive=True, max_lines=2, elem_id="edit-target")
    with gr.Column(elem_classes="card"):
        forms, columns = _forms(lab.methods, names[0][1])
        with gr.Accordion("Seed", open=False, elem_classes="more"):
            seed = gr.Number(
                0, label="Seed", show_label=False, precision=0, minimum=0, maximum=2**31 - 1, interactive=True, elem_id="edit-seed"
            )
        strengths = gr.Button("Strip of strengths", size="sm", elem_id="edit-strengths")
    message = gr.HTML("", elem_id="edit-message")
    with gr.Row(elem_classes="go-row"):
        go = gr.Button("Edit", variant="primary", elem_id="edit-go", scale=3)
        live = gr.Checkbox(True, label="Live", interactive=True, container=False, elem_id="edit-live", scale=1, min_width=72)
    return Controls(
        drop, face, examples, method, line, edit, mixed, preset, reference, target, forms, columns, strengths, seed, go, live, message
    )


def _canvases() -> Canvases:
    """For methods to which they mean something."""
    with gr.Row(visible=False, elem_classes="card canvases") as row:
        with gr.Column(min_width=300):
            gr.HTML('<h2 class="heading">Strokes</h2><p class="help">Painted over the picture, they are redrawn with it.</p>')
            strokes = editor("Strokes", paints(), "edit-strokes")
        with gr.Column(min_width=300):
            gr.HTML('<h2 class="heading">Mask</h2><p class="help">Where you mark, the picture may change; the rest is kept.</p>')
            mask = editor("Mask", marker(), "edit-mask")
    return Canvases(row, strokes, mask)


def _forms(methods: Mapping[str, Any], chosen: str) -> tuple[dict[str, Form], dict[str, gr.Column]]:
    """One form a method, of which only the chosen one shows."""
    forms, columns = {}, {}
    for key, method in that_edit(methods).items():
        with gr.Column(visible=key == chosen, elem_classes="method-form") as columns[key]:
            forms[key] = build_form(method.edit_settings, leave_out=PROMPTS, more="More", prefix=f"edit-{key}-")
    return forms, columns


def _picture() -> tuple[Component, ...]:
    """The large picture with what stands around it: the first fields of `Results`."""
    with gr.Column(elem_classes="card picture"):
        with gr.Row(elem_classes="view-row"):
            view = gr.Radio(list(VIEWS), value=SLIDER, label="View", show_label=False, container=False, elem_id="edit-view")
            in_photo = gr.Checkbox(
                False, label="In the photograph", visible=False, interactive=True, container=False, scale=0, min_width=150,
                elem_id="edit-in-photo",
            )  # fmt: skip
            download = gr.DownloadButton("Download PNG", size="sm", interactive=False, elem_id="edit-download", min_width=140, scale=0)
        slider = gr.ImageSlider(
            label="Before and after", show_label=False, format="png", type="filepath", interactive=False, buttons=["fullscreen"],
            max_height=560, elem_id="edit-slider", elem_classes="big",
        )  # fmt: skip
        image = gr.Image(
            label="Picture", show_label=False, format="png", interactive=False, visible=False, buttons=["fullscreen"],
            elem_id="edit-picture", elem_classes="big",
        )  # fmt: skip
        caption = gr.HTML("", elem_id="edit-caption")
        progress = gr.HTML("", elem_id="edit-progress")
    return progress, slider, image, view, in_photo, caption, download


def _results(*picture: Component) -> Results:
    scores = gr.HTML("", elem_id="edit-scores")
    strip = gr.Gallery(
        label="Strip of strengths", columns=STRIP, height="auto", allow_preview=False, object_fit="cover", buttons=[], interactive=False,
        visible=False, elem_id="edit-strip", elem_classes="strip strengths", type="pil", format="png",
    )  # fmt: skip
    with gr.Column(elem_classes="card history"):
        with gr.Row(elem_classes="history-row"):
            gr.HTML('<h2 class="heading">This session</h2>', min_width=100)
            click = gr.Radio(
                [BRING_BACK, COMPARE], value=BRING_BACK, label="A click", show_label=False, container=False, scale=0, min_width=300,
                elem_id="edit-click",
            )  # fmt: skip
        gallery = _strip("History", "edit-history")
    return Results(*picture, scores, strip, gallery, click)


def _strip(label: str, elem_id: str) -> gr.Gallery:
    """A row of small pictures to click on."""
    return gr.Gallery(
        label=label, show_label=False, columns=8, height="auto", fit_columns=False, allow_preview=False, object_fit="cover", buttons=[],
        interactive=False, elem_id=elem_id, elem_classes="strip", type="pil", format="png",
    )  # fmt: skip

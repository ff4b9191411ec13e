"""The components of the Tune tab: settings on the left; progress, curves and samples on the right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from core.methods import that_train
from core.types import Settings
from core.worlds.portraits import DOMAINS
from ui.forms import Form, build_form
from ui.methods import about, line_html
from ui.tune_curve import METHOD as CURVE_METHOD
from ui.tune_curve import CurveCard, build_curve
from ui.tune_presets import Preset, tune_presets
from ui.tune_request import PORTRAITS, SOURCE
from ui.tune_targets import SET, target_choices
from ui.tune_watch import EMPTY

PROMPTS = ("reference_prompt", "target_prompt")


@dataclass(frozen=True)
class Controls:
    """The left column."""

    method: gr.Dropdown
    line: gr.HTML
    preset: gr.Dropdown
    provenance: gr.HTML
    name: gr.Textbox
    forms: dict[str, Form]
    columns: dict[str, list[gr.Column]]
    images: gr.Radio
    targets: gr.Dropdown
    seed: gr.Number
    estimate: gr.HTML
    message: gr.HTML
    start: gr.Button

    def inputs(self) -> set[Component]:
        """What a request is made of. Not the preset: while its list changes, Gradio would refuse the value that still stands in it."""
        plain = {self.method, self.name, self.images, self.targets, self.seed}
        return plain.union(*(form.inputs() for form in self.forms.values()))


@dataclass(frozen=True)
class Watch:
    """The right column: one run."""

    run: gr.Dropdown
    progress: gr.HTML
    cancel: gr.Button
    save: gr.Button
    resume: gr.Button
    try_it: gr.Button
    as_base: gr.Button
    curves: gr.Column
    plot: gr.Plot
    samples: gr.HTML
    log_fold: gr.Accordion
    log: gr.Textbox

    def outputs(self) -> list[Any]:
        return [getattr(self, name) for name in self.__dataclass_fields__]


def build_layout(lab: Any) -> tuple[Controls, Watch, CurveCard]:
    """Both columns, inside the open tab, and the card of Asyrp's curve, which comes and goes with that method's form."""
    with gr.Row(elem_classes="workbench tune"):
        with gr.Column(scale=0, min_width=300, elem_classes="controls"):
            controls = _controls(lab)
        with gr.Column(scale=1, min_width=300, elem_classes="stage"):
            curve = build_curve()
            watch = _watch()
    controls.columns.get(CURVE_METHOD, []).append(curve.column)
    return controls, watch, curve


def image_choices(count: int) -> list[tuple[str, str]]:
    """Where training images come from; count: of the source set."""
    others = [(f"Embedded, as {name}", name) for name in DOMAINS[1:]]  # for bases that were tuned to such a domain
    return [("Embedded portraits", PORTRAITS), (f"Source set ({count})", SOURCE), *others]


def learns_source(method: str) -> bool:
    """Whether it learns from pictures of the source."""
    return about(method).learns != "target"


def aims(method: str, settings_class: type[Settings]) -> bool:
    """Whether pictures of the target mean something to it."""
    return about(method).learns != "source" or "image_weight" in settings_class.model_fields


def _controls(lab: Any) -> Controls:
    names = [(type(method).__name__, key) for key, method in that_train(lab.methods).items()]
    chosen = names[0][1]
    presets = tune_presets(chosen)
    first = next(iter(presets.values()), None)
    with gr.Column(elem_classes="card"):
        method = gr.Dropdown(names, value=chosen, label="Method", interactive=True, filterable=False, elem_id="tune-method")
        line = gr.HTML(line_html(chosen), elem_classes="under")
        preset = gr.Dropdown(
            list(presets), value=first and first.name, label="Preset", interactive=True, filterable=False, elem_id="tune-preset"
        )
        provenance = gr.HTML(first.html if first else "", elem_classes="under")
        prompts, prompt_columns = _forms(lab, chosen, first, prompts=True)
        name = gr.Textbox(
            "", label="Name", placeholder="after the target", max_lines=1, max_length=60, interactive=True, elem_id="tune-name"
        )
    with gr.Column(elem_classes="card"):
        images = gr.Radio(
            image_choices(0), value=PORTRAITS, label="Learn from", visible=learns_source(chosen), interactive=True, elem_id="tune-images"
        )
        targets = gr.Dropdown(
            target_choices(0), value=(first and first.target_images) or SET, label="Aim at", interactive=True, filterable=False,
            visible=aims(chosen, lab.methods[chosen].train_settings), info="Pictures of the target.", elem_id="tune-targets",
        )  # fmt: skip
    with gr.Column(elem_classes="card"):
        rest, columns = _forms(lab, chosen, first, prompts=False)
        with gr.Accordion("Seed", open=False, elem_classes="more"):
            seed = gr.Number(
                0, label="Seed", info="of the order of the images", precision=0, minimum=0, maximum=2**31 - 1, interactive=True,
                elem_id="tune-seed",
            )  # fmt: skip
    message = gr.HTML("", elem_id="tune-message")
    with gr.Row(elem_classes="go-row"):
        start = gr.Button("Start", variant="primary", elem_id="tune-start", scale=0, min_width=110)
        estimate = gr.HTML("", elem_id="tune-estimate")
    forms = {key: Form(rest[key].settings_class, {**prompts[key].components, **rest[key].components}) for key in rest}
    both = {key: [prompt_columns[key], columns[key]] for key in rest}
    return Controls(method, line, preset, provenance, name, forms, both, images, targets, seed, estimate, message, start)


def _forms(lab: Any, chosen: str, preset: Preset | None, prompts: bool) -> tuple[dict[str, Form], dict[str, gr.Column]]:
    """The prompts, or everything else, of every method; only the chosen method's show."""
    forms, columns = {}, {}
    for key, method in that_train(lab.methods).items():
        fields = [name for name in method.train_settings.model_fields if (name in PROMPTS) == prompts]
        values = preset.settings if preset and key == chosen else None
        with gr.Column(visible=key == chosen, elem_classes="method-form") as columns[key]:
            forms[key] = build_form(method.train_settings, only=fields, values=values, prefix=f"tune-{key}-")
    return forms, columns


def _watch() -> Watch:
    with gr.Column(elem_classes="card watch"):
        with gr.Row(elem_classes="watch-row"):
            run = gr.Dropdown(
                [], value=None, label="Run", show_label=False, container=False, visible=False, interactive=True, filterable=False,
                elem_id="tune-run", min_width=220,
            )  # fmt: skip
            cancel = gr.Button("Cancel", size="sm", visible=False, min_width=80, scale=0, elem_id="tune-cancel")
            save = gr.Button("Save now", size="sm", visible=False, min_width=90, scale=0, elem_id="tune-save")
            resume = gr.Button("Resume", size="sm", variant="primary", visible=False, min_width=90, scale=0, elem_id="tune-resume")
            as_base = gr.Button("Use as base", size="sm", visible=False, min_width=110, scale=0, elem_id="tune-as-base")
            try_it = gr.Button("Try it", size="sm", variant="primary", visible=False, min_width=90, scale=0, elem_id="tune-try")
        progress = gr.HTML(EMPTY, elem_id="tune-progress")
    with gr.Column(elem_classes="card curves", visible=False) as curves:
        gr.HTML('<h2 class="heading">Loss</h2>')
        plot = gr.Plot(show_label=False, container=False, elem_id="tune-plot")
    samples = gr.HTML("", elem_id="tune-samples")
    with gr.Accordion("Log", open=False, elem_classes="more log", visible=False) as log_fold:
        log = gr.Textbox(
            "", label="Log", show_label=False, lines=8, max_lines=16, interactive=False, autoscroll=True, buttons=["copy"],
            elem_id="tune-log",
        )  # fmt: skip
    return Watch(run, progress, cancel, save, resume, try_it, as_base, curves, plot, samples, log_fold, log)

"""Where Asyrp edits: the curve of perceptual distances on the loaded base, with t_edit and t_boost, which may be taken into the form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from core.methods.asyrp_settings import AsyrpTune
from core.methods.asyrp_steps import PerceptualCurve, prompt_similarity
from core.types import ShiftlabError, StepEvent
from ui.edit_show import Updates, alert, progress_html
from ui.events import QUIET
from ui.forms import Form
from ui.plots import curve_figure
from ui.preview import Progress

METHOD = "asyrp"
HELP = (
    '<h2 class="heading">Where it edits</h2><p class="help">As the base draws pictures of its own: how far the predicted picture, and the '
    "noised one, are from the picture at the end. Above t_edit features are shifted; below t_boost fresh noise sharpens. Measured once "
    "for each base.</p>"
)


@dataclass(frozen=True)
class CurveCard:
    """Shown for Asyrp alone."""

    column: gr.Column
    measure: gr.Button
    take: gr.Button
    said: gr.HTML
    plot: gr.Plot

    def outputs(self) -> list[Any]:
        return [self.take, self.said, self.plot]


@dataclass(frozen=True)
class Found:
    """What the curve says for the prompts and thresholds in the form."""

    curve: PerceptualCurve
    similarity: float
    t_edit: int
    t_boost: int


def build_curve() -> CurveCard:
    """Inside the open column."""
    with gr.Column(elem_classes="card curves", visible=False) as column:
        gr.HTML(HELP)
        with gr.Row(elem_classes="watch-row"):
            measure = gr.Button("Show the curve", size="sm", min_width=130, scale=0, elem_id="tune-curve-measure")
            take = gr.Button("Take both into the form", size="sm", visible=False, min_width=180, scale=0, elem_id="tune-curve-take")
        said = gr.HTML("", elem_id="tune-curve-said")
        plot = gr.Plot(show_label=False, container=False, visible=False, elem_id="tune-curve-plot")
    return CurveCard(column, measure, take, said, plot)


def found(lab: Any, settings: AsyrpTune) -> Iterator[StepEvent | Found]:
    """Yields the measuring's events, where it was not done yet, and ends with what was found. Raises ShiftlabError for what is missing."""
    similarity = settings.similarity
    if similarity is None:
        similarity = prompt_similarity(settings.reference_prompt, settings.target_prompt, lab.context())
    curve: PerceptualCurve = yield from lab.curve()
    t_edit = min(curve.t_edit(similarity, settings.edit_threshold), settings.return_step)
    yield Found(curve, similarity, t_edit, curve.t_boost(settings.boost_threshold))


class CurveEvents:
    """The card's handlers and wiring. form: Asyrp's in the Tune tab."""

    def __init__(self, lab: Any, card: CurveCard, form: Form) -> None:
        self.lab, self.card, self.form = lab, card, form

    def show(self, values: Mapping[Any, Any]) -> Iterator[Updates]:
        """Measures, where that was not done yet, and draws."""
        card = self.card
        try:
            settings = self.form.read(values)
            for seen in found(self.lab, settings):
                if isinstance(seen, Found):
                    drawn = gr.update(value=figure(seen, settings), visible=True)
                    yield {card.said: _said(seen), card.take: gr.update(visible=True), card.plot: drawn}
                else:
                    yield {card.said: progress_html(Progress(f"Measuring {seen.step} of {seen.total}", seen.step / seen.total))}
        except ShiftlabError as error:
            yield {card.said: alert(str(error))}

    def take(self, values: Mapping[Any, Any]) -> Updates:
        """Both timesteps into the form, where they can be changed."""
        try:
            seen = next(event for event in found(self.lab, self.form.read(values)) if isinstance(event, Found))
        except ShiftlabError as error:
            return {self.card.said: alert(str(error))}
        shown = self.form.show({"t_edit": seen.t_edit, "t_boost": seen.t_boost})
        return {**dict(zip(self.form.outputs(), shown, strict=True)), self.card.said: _said(seen)}

    def wire(self) -> None:
        card = self.card
        card.measure.click(self.show, self.form.inputs(), card.outputs(), concurrency_limit=1, **QUIET)
        card.take.click(self.take, self.form.inputs(), [card.said, *self.form.outputs()], **QUIET)


def figure(seen: Found, settings: AsyrpTune) -> go.Figure:
    """Both distances over t, the thresholds, and where they are reached."""
    curve = seen.curve
    lines = {"predicted picture": curve.predicted, "noised picture": curve.noised}
    marks = {"t_edit": (seen.t_edit, settings.edit_threshold * seen.similarity), "t_boost": (seen.t_boost, settings.boost_threshold)}
    return curve_figure(curve.timesteps, lines, marks)


def _said(seen: Found) -> str:
    boost = f"t_boost {seen.t_boost}" if seen.t_boost else "no t_boost: the noised picture never gets so far"
    return (
        f'<p class="help"><b>t_edit {seen.t_edit}</b>, <b>{boost}</b>. Similarity of the prompts {seen.similarity:.2f}; distances of the '
        f"{seen.curve.extractor}, in units of LPIPS.</p>"
    )

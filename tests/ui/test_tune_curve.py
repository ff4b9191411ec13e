"""Asyrp's curve in the Tune tab: measured with progress, drawn with both timesteps, and taken into the form."""

from types import SimpleNamespace

import gradio as gr
import pytest

from core.methods.asyrp_settings import AsyrpTune
from core.methods.asyrp_steps import PerceptualCurve
from core.types import ShiftlabError, StepEvent
from ui.forms import build_form
from ui.tune_curve import CurveEvents, build_curve

CURVE = PerceptualCurve((0, 200, 400, 600, 800), (0.0, 0.1, 0.2, 0.3, 0.4), (0.1, 0.9, 1.2, 1.3, 1.35), "by hand")


class Lab:
    def curve(self):
        yield StepEvent("measure", 1, 2)
        return CURVE


@pytest.fixture(scope="module")
def events():
    with gr.Blocks():
        form = build_form(AsyrpTune)
        events = CurveEvents(Lab(), build_curve(), form)
        events.wire()
    return events


def values_of(events, **given):
    return {part: given.get(name, part.value) for name, part in events.form.components.items()}


def test_measured_with_progress_and_drawn_with_both_timesteps(events):
    *_, last = seen = list(events.show(values_of(events, similarity=0.9)))
    assert "Measuring 1 of 2" in seen[0][events.card.said]
    assert "t_edit 600" in last[events.card.said] and "t_boost 400" in last[events.card.said]
    figure = last[events.card.plot]["value"]
    assert [trace.name for trace in figure.data] == ["predicted picture", "noised picture", "t_edit", "t_boost"]
    assert figure.data[2].x[0] == 600 and figure.data[2].y[1] == pytest.approx(0.33 * 0.9)


def test_both_are_taken_into_the_form_where_they_can_be_changed(events):
    taken = events.take(values_of(events, similarity=0.6, boost_threshold=2.0))
    shown = {name: taken[part] for name, part in events.form.components.items()}
    assert shown["t_edit"]["value"] == 400 and shown["t_boost"]["value"] == 0
    assert "no t_boost" in taken[events.card.said] and "value" not in shown["epochs"]


def test_what_is_missing_is_said(events):
    def refuse():
        raise ShiftlabError("Nothing is loaded that t_edit and t_boost could be measured with.")

    lone = CurveEvents(SimpleNamespace(curve=refuse), events.card, events.form)
    assert "Nothing is loaded" in list(lone.show(values_of(events, similarity=0.9)))[-1][events.card.said]

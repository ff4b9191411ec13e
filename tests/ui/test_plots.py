"""Curves: what is drawn, what is thinned, and what keeps the zoom."""

from __future__ import annotations

import pytest

from core.methods.diffusionclip_settings import DiffusionCLIPTune
from ui.plots import MOST_POINTS, TERMS, loss_figure, smooth, thin


def rows(count: int, **more: float) -> list[dict]:
    return [{"phase": "train", "step": step, "loss": 1.0 / step, "clip": 0.5, "lr": 1e-5, **more} for step in range(1, count + 1)]


def test_smoothing_begins_at_the_first_value_and_keeps_a_constant():
    assert smooth([3.0])[0] == pytest.approx(3.0)
    assert smooth([2.0] * 20) == pytest.approx([2.0] * 20)
    assert smooth([]) == []


def test_thinning_keeps_the_ends():
    points = [(step, float(step)) for step in range(10_001)]
    kept = thin(points)
    assert kept[0] == points[0] and kept[-1] == points[-1] and len(kept) <= MOST_POINTS + 1
    assert thin(points[:5]) == points[:5] and thin([]) == []


def test_one_run_shows_its_terms_and_nothing_else():
    figure = loss_figure([{"phase": "invert", "step": 1, "loss": 9.0}, *rows(20)], "run-1")
    named = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert named == ["loss", "direction"]
    assert max(figure.data[0].y) == 1.0  # the inversion's row is no training
    assert figure.layout.uirevision == "run-1" and figure.layout.paper_bgcolor == "rgba(0,0,0,0)"


def test_a_run_of_several_networks_has_a_curve_for_each():
    learned = {1: "source", 2: "source", 3: "carried", 4: "carried"}
    several = [{"phase": f"train on {arm}", "step": step, "loss": 1.0 / step} for step, arm in learned.items()]
    figure = loss_figure([{"phase": "carry", "step": 9, "images_per_s": 2.0}, *several], "run")
    assert [(trace.name, tuple(trace.x)) for trace in figure.data] == [("source only", (1, 2)), ("carried scenes", (3, 4))]


def test_seeds_of_one_arm_are_curves_of_their_own_under_one_name():
    several = [{"phase": "train on source", "step": step, "seed": seed, "loss": 1.0} for step, seed in [(1, 0), (2, 0), (3, 1), (4, 1)]]
    figure = loss_figure(several, "run")
    assert [tuple(trace.x) for trace in figure.data] == [(1, 2), (3, 4)]
    assert [trace.showlegend for trace in figure.data] == [True, False] and len({trace.name for trace in figure.data}) == 1


def test_a_first_step_is_a_point_and_no_step_is_an_empty_figure():
    assert loss_figure(rows(1), "run").data[0].mode == "markers"
    assert len(loss_figure([], "run").data) == 0


def test_a_comparison_shows_the_losses_of_both():
    figure = loss_figure(rows(20), "one", ("other", rows(30)))
    assert [trace.name for trace in figure.data if trace.showlegend is not False] == ["one", "other"]


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_weight_of_the_loss_has_a_curve_of_its_own_that_stands_on_light_and_on_dark() -> None:
    weighed = {name.removeprefix("w_") for name in DiffusionCLIPTune.model_fields if name.startswith("w_")}
    assert {"identity" if name == "id" else name for name in weighed} == TERMS.keys() - {"loss"}
    colours = [colour for _, colour in TERMS.values()]
    assert len(set(colours)) == len(colours)
    for colour in colours:
        assert 1.05 / (luminance(colour) + 0.05) >= 3.0, f"{colour} on white"
        assert (luminance(colour) + 0.05) / (luminance("#131210") + 0.05) >= 3.0, f"{colour} on near black"


def test_terms_have_an_axis_of_their_own_and_losses_that_are_compared_share_one() -> None:
    rows = [{"phase": "train", "step": k, "loss": 60.0, "clip": 0.02} for k in range(20)]
    axes = {curve.name: curve.yaxis for curve in loss_figure(rows, "run").data}
    assert axes["loss"] == "y" and axes["direction"] == "y2"
    compared = loss_figure(rows, "run", ("other", rows))
    assert {curve.yaxis for curve in compared.data} == {"y"} and "yaxis2" not in compared.layout

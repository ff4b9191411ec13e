"""The figures. Everything is drawn on nothing, in tones that stand on light and on dark ground alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from core.adaptation.classify import PHASE
from core.adaptation.figures import COLOURS, NAMES

# Mid tones: each at least 3:1 against white and against near black.
TEAL, AMBER, VIOLET, GREY, BLUE = "#1f9a8f", "#c98320", "#8b74d6", "#8a8580", "#4a8bd0"
ROSE, MOSS, PLUM = "#cf6a8c", "#6b9b37", "#a864b8"
GRID = "rgba(138, 133, 128, 0.22)"
TERMS = {
    "loss": ("loss", TEAL), "clip": ("direction", AMBER), "l1": ("L1", VIOLET), "identity": ("identity", GREY),
    "patches": ("patches", BLUE), "pairs": ("pairs", ROSE), "structure": ("structure", MOSS), "strokes": ("strokes", PLUM),
}  # fmt: skip
ARM_PHASES = {arm: PHASE.format(arm) for arm in NAMES}  # of a run that trains several networks, one after the other
SMOOTHING = 0.9  # of the exponential mean
FEW = 8  # below so many points there is nothing to smooth
MOST_POINTS = 600  # a curve; more are thinned, or a night's training would send megabytes each second


def loss_figure(rows: Iterable[dict[str, Any]], run: str, other: tuple[str, Iterable[dict[str, Any]]] | None = None) -> go.Figure:
    """Loss curves of a run: raw and faint, smoothed and strong; with `other` (name, rows) only the losses of both, for comparison.

    Terms before weighting may be a thousandth of their sum, so they have an axis of their own, on the right.
    rows: those of stats.jsonl. A run of several networks has a curve for each arm and seed. The zoom stays as long as `run` is the same.
    """
    figure = go.Figure()
    train = _training(rows)
    if other is None:
        for key, (name, colour) in TERMS.items():
            _add_curve(figure, _points((row for row in train if row["phase"] == "train"), key), name, colour, strong=key == "loss")
        for arm, phase in ARM_PHASES.items():
            _add_networks(figure, [row for row in train if row["phase"] == phase], NAMES[arm], COLOURS[arm])
    else:
        _add_curve(figure, _points(train, "loss"), run, TEAL, strong=True)
        name, rows = other
        _add_curve(figure, _points(_training(rows), "loss"), name, AMBER, strong=True)
    return _styled(figure, run)


def curve_figure(x: Sequence[float], lines: Mapping[str, Sequence[float]], marks: Mapping[str, tuple[float, float]]) -> go.Figure:
    """Perceptual distances over timesteps. lines: by name, over x; marks: by name, (x, y) of a point where a line is to be read."""
    figure = go.Figure()
    tones = (TEAL, AMBER, VIOLET, GREY)
    for (name, values), colour in zip(lines.items(), tones, strict=False):
        line = {"color": colour, "width": 2.5}
        figure.add_scatter(x=list(x), y=list(values), name=name, mode="lines", line=line, hovertemplate="%{y:.2f}")
    for (name, (at, level)), colour in zip(marks.items(), tones, strict=False):
        figure.add_scatter(x=[at, at, 0], y=[0, level, level], name=name, mode="lines", hoverinfo="skip", showlegend=False,
                           line={"color": colour, "width": 1, "dash": "dot"})  # fmt: skip
        figure.add_annotation(x=at, y=level, text=f"{name} {at:g}", showarrow=False, xanchor="left", yanchor="bottom", xshift=4)
    return _styled(figure, "perceptual curve", "t")


def smooth(values: Sequence[float], keep: float = SMOOTHING) -> list[float]:
    """Exponential mean, corrected for its start as in Adam (Kingma and Ba 2015): m_k = Σ keep^(k−i)·v_i / Σ keep^(k−i)."""
    mean = weight = 0.0
    out = []
    for value in values:
        mean, weight = keep * mean + (1 - keep) * value, keep * weight + (1 - keep)
        out.append(mean / weight)
    return out


def thin(points: Sequence[tuple[int, float]], most: int = MOST_POINTS) -> list[tuple[int, float]]:
    """At most about `most` of the points, evenly, the last one always."""
    stride = max(1, -(-len(points) // most))
    return [*points[:-1][::stride], *points[-1:]]


def _training(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row.get("phase") in ("train", *ARM_PHASES.values())]


def _points(rows: Iterable[dict[str, Any]], key: str) -> list[tuple[int, float]]:
    return [(row["step"], row[key]) for row in rows if key in row]


def _add_networks(figure: go.Figure, rows: list[dict[str, Any]], name: str, colour: str) -> None:
    """A curve for each seed of one arm, all under one name."""
    for place, seed in enumerate(dict.fromkeys(row.get("seed") for row in rows)):
        points = _points((row for row in rows if row.get("seed") == seed), "loss")
        _add_curve(figure, points, name, colour, strong=True, named=place == 0)


def _add_curve(figure: go.Figure, points: list[tuple[int, float]], name: str, colour: str, strong: bool, named: bool = True) -> None:
    """strong: a loss, read on the left; else a term of one, on the right."""
    if not points:
        return
    axis = "y" if strong else "y2"
    steps, values = zip(*points, strict=True)
    width = 2.5 if strong else 1.5
    line = {"color": colour, "width": width}
    if len(points) >= FEW:
        raw = thin(points)
        figure.add_scatter(x=[x for x, _ in raw], y=[y for _, y in raw], line={"color": colour, "width": 1}, opacity=0.25, hoverinfo="skip",
                           mode="lines", showlegend=False, legendgroup=name, yaxis=axis)  # fmt: skip
        points = thin(list(zip(steps, smooth(values), strict=True)))
    mode = "lines" if len(points) > 1 else "markers"
    figure.add_scatter(x=[x for x, _ in points], y=[y for _, y in points], name=name, line=line, mode=mode, marker={"color": colour},
                       showlegend=named, legendgroup=name, hovertemplate="%{y:.4g}", yaxis=axis)  # fmt: skip


def _styled(figure: go.Figure, run: str, x_title: str = "update") -> go.Figure:
    tick = {"color": GREY, "size": 12}
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": GRID, "ticks": "", "tickfont": tick, "automargin": True}
    figure.update_layout(
        uirevision=run,
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "color": GREY, "size": 13},
        xaxis={**axis, "showgrid": False, "title": {"text": x_title, "font": {"size": 12}}, "rangemode": "tozero"},
        yaxis={**axis, "nticks": 5, "rangemode": "tozero"},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        showlegend=True,
        hovermode="x unified",
        hoverlabel={"bgcolor": "#2b2825", "font": {"color": "#f5f2ee"}, "bordercolor": "#2b2825"},
        height=280,
        margin={"l": 44, "r": 12, "t": 34, "b": 40},
    )
    if any(curve.yaxis == "y2" for curve in figure.data):
        right = {"overlaying": "y", "side": "right", "showgrid": False, "title": {"text": "terms", "font": {"size": 12}}}
        figure.update_layout(yaxis2={**axis, "nticks": 5, "rangemode": "tozero", **right})
    return figure

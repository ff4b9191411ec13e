"""The curves as a figure, the same on the page and in the report: one panel a domain, a line an arm, a band of ± one sd over seeds."""

from __future__ import annotations

import io

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.adaptation.results import DOMAINS, SHARES, band

# Mid tones: each at least 3:1 against white and against near black.
COLOURS = {  # of the arms of every comparison, in the order in which they are drawn
    "source": "#8a8580", "adapted": "#1f9a8f", "both": "#8b74d6", "audited": "#c98320", "one_shot": "#c98320", "generated": "#1f9a8f",
    "carried": "#8b74d6", "target": "#c2577e",
}  # fmt: skip
NAMES = {
    "source": "source only", "adapted": "adapted", "both": "source and adapted", "audited": "adapted, audited",
    "one_shot": "the one image", "generated": "generated images", "carried": "carried scenes", "target": "target (oracle)",
}  # fmt: skip
TESTS = {"source": "on source", "target": "on target", "adapted": "on adapted"}
NOTHING = "rgba(0,0,0,0)"
GRID = "rgba(138, 133, 128, 0.22)"


def curves_figure(table: pd.DataFrame, run: str, metric: str = "accuracy", by: str = "epoch") -> go.Figure:
    """`results.curves` as a figure. metric: "accuracy" or "loss". Zoom and hidden lines stay as long as `run` is the same.

    With metric "miou" and by "iteration": `segment_results.segment_curves`.
    """
    panels = [domain for domain in DOMAINS if f"{domain}_{metric}" in table]
    figure = make_subplots(1, max(1, len(panels)), shared_yaxes=True, subplot_titles=[TESTS[domain] for domain in panels] or None)
    for arm in _arms(table):
        for place, domain in enumerate(panels, start=1):
            _add(figure, band(table, arm, f"{domain}_{metric}", by), arm, place)
    figure.update_layout(
        uirevision=run, hovermode="x unified", paper_bgcolor=NOTHING, plot_bgcolor=NOTHING, font={"color": COLOURS["source"]},
        legend={"orientation": "h", "y": -0.2}, margin={"l": 48, "r": 12, "t": 32, "b": 40}, height=360,
    )  # fmt: skip
    figure.update_xaxes(title=by, gridcolor=GRID, zeroline=False)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, **({"tickformat": ".0%"} if metric in SHARES else {}))
    return figure


def _arms(table: pd.DataFrame) -> list[str]:
    """Those that the table has, in their order."""
    return [arm for arm in COLOURS if len(table) and (table["arm"] == arm).any()]


def _add(figure: go.Figure, line: pd.DataFrame, arm: str, place: int) -> None:
    colour, epochs = COLOURS[arm], list(line.index)
    low, high = list(line["low"]), list(line["high"])
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    shared = {"legendgroup": arm, "x": epochs}
    if any(line["sd"] > 0):
        figure.add_scatter(
            x=epochs + epochs[::-1], y=high + low[::-1], fill="toself", fillcolor=f"rgba({red}, {green}, {blue}, 0.18)",
            mode="lines", line={"width": 0}, hoverinfo="skip", showlegend=False, legendgroup=arm, row=1, col=place,
        )  # fmt: skip
    figure.add_scatter(
        **shared, y=list(line["mean"]), name=NAMES[arm], showlegend=place == 1, mode="lines+markers", line={"color": colour, "width": 2.5},
        customdata=list(line["sd"]), hovertemplate="%{y:.3f} ± %{customdata:.3f}", row=1, col=place,
    )  # fmt: skip


def curves_png(table: pd.DataFrame, title: str = "", metric: str = "accuracy", by: str = "epoch") -> bytes:
    """`curves_figure` as a PNG for a page of paper: dark on white, no browser needed."""
    from matplotlib.figure import Figure  # here: nobody waits for it who only looks at the page
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    panels = [domain for domain in DOMAINS if f"{domain}_{metric}" in table] or ["source"]
    figure = Figure(figsize=(4.2 * len(panels), 3.6), dpi=160, layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, domain in zip(axes, panels, strict=True):
        for arm in _arms(table):
            line = band(table, arm, f"{domain}_{metric}", by)
            axis.plot(line.index, line["mean"], color=COLOURS[arm], label=NAMES[arm], marker="o", markersize=3)
            axis.fill_between(line.index, line["low"], line["high"], color=COLOURS[arm], alpha=0.18, linewidth=0)
        axis.set(title=TESTS[domain], xlabel=by)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(metric)
    if metric in SHARES:
        axes[0].yaxis.set_major_formatter(PercentFormatter(1))
    lines, names = axes[0].get_legend_handles_labels()
    if lines:
        figure.legend(lines, names, loc="outside lower center", ncols=len(lines), frameon=False)
    figure.suptitle(title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()

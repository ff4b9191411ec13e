"""The figures of a one-shot comparison besides its curves (`figures.curves_figure`): bars by class, and confusion as a heat map."""

from __future__ import annotations

import io

import pandas as pd
import plotly.graph_objects as go

from core.adaptation.figures import COLOURS, GRID, NAMES, NOTHING, TESTS

SCALE = [[0.0, "rgba(31, 154, 143, 0.04)"], [1.0, "#1f9a8f"]]  # from nearly nothing to the house's green


def classes_figure(table: pd.DataFrame, run: str, domain: str = "target") -> go.Figure:
    """`segment_results.by_class` as bars, a group a class and a colour an arm, with ± one sd over seeds."""
    figure = go.Figure()
    for arm, rows in _by_arm(table, domain):
        figure.add_bar(
            x=list(rows["class"]), y=list(rows["iou"]), name=NAMES[arm], marker={"color": COLOURS[arm]},
            error_y={"type": "data", "array": list(rows["sd"]), "visible": bool((rows["sd"] > 0).any())},
            hovertemplate="%{x}: %{y:.1%}",
        )  # fmt: skip
    figure.update_layout(**_layout(run), barmode="group", title=f"IoU of each class, {TESTS[domain]}")
    figure.update_yaxes(gridcolor=GRID, zeroline=False, tickformat=".0%")
    return figure


def confusion_figure(table: pd.DataFrame, run: str, title: str = "") -> go.Figure:
    """`segment_results.confusions` as a heat map: a row a true class, whose shares add up to 1."""
    figure = go.Figure()
    if len(table):
        figure.add_heatmap(
            z=table.to_numpy().tolist(), x=list(table.columns), y=list(table.index), colorscale=SCALE, zmin=0, zmax=1, showscale=False,
            texttemplate="%{z:.0%}", hovertemplate="%{y} read as %{x}: %{z:.1%}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(**_layout(run), title=title)
    figure.update_yaxes(title="truth", autorange="reversed")
    figure.update_xaxes(title="read as", tickangle=-40)
    return figure


def classes_png(table: pd.DataFrame, title: str = "", domain: str = "target") -> bytes:
    """`classes_figure` as a PNG for a page of paper."""
    from matplotlib.figure import Figure  # here, as in figures.py

    found = _by_arm(table, domain)
    names = list(dict.fromkeys(name for _, rows in found for name in rows["class"]))
    figure = Figure(figsize=(max(5.0, 0.8 * len(names)), 3.8), dpi=160, layout="constrained")
    axis, width = figure.subplots(), 0.8 / max(1, len(found))
    for place, (arm, rows) in enumerate(found):
        at = [names.index(name) - 0.4 + width * (place + 0.5) for name in rows["class"]]
        axis.bar(at, rows["iou"], width, yerr=rows["sd"], color=COLOURS[arm], label=NAMES[arm], error_kw={"linewidth": 0.8})
    axis.set(title=title, ylabel=f"IoU {TESTS[domain]}", xticks=range(len(names)))
    axis.set_xticklabels(names, rotation=40, ha="right")
    axis.grid(axis="y", alpha=0.3)
    if found:
        axis.legend(frameon=False, ncols=len(found))
    return _png(figure)


def confusion_png(table: pd.DataFrame, title: str = "") -> bytes:
    """`confusion_figure` as a PNG."""
    from matplotlib.figure import Figure

    rows, columns = max(1, len(table)), max(1, len(table.columns))
    figure = Figure(figsize=(1.5 + 0.55 * columns, 1.6 + 0.42 * rows), dpi=160, layout="constrained")
    axis = figure.subplots()
    if len(table):
        axis.imshow(table.to_numpy(), cmap="Greens", vmin=0, vmax=1, aspect="auto")
        for i, j in ((i, j) for i in range(rows) for j in range(columns)):
            share = table.iat[i, j]
            axis.text(j, i, f"{share:.0%}", ha="center", va="center", fontsize=6, color="white" if share > 0.6 else "#222222")
    axis.set(title=title, xlabel="read as", ylabel="truth", xticks=range(len(table.columns)), yticks=range(len(table)))
    axis.set_xticklabels(table.columns, rotation=40, ha="right")
    axis.set_yticklabels(table.index)
    return _png(figure)


def _by_arm(table: pd.DataFrame, domain: str) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each arm that was tested in this domain."""
    if not len(table):
        return []
    found = [(arm, table[(table["trained on"] == arm) & (table["tested on"] == domain)]) for arm in COLOURS]
    return [(arm, rows) for arm, rows in found if len(rows)]


def _layout(run: str) -> dict[str, object]:
    return {
        "uirevision": run, "paper_bgcolor": NOTHING, "plot_bgcolor": NOTHING, "font": {"color": COLOURS["source"]}, "height": 420,
        "legend": {"orientation": "h", "y": -0.25}, "margin": {"l": 48, "r": 12, "t": 40, "b": 40},
    }  # fmt: skip


def _png(figure: object) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()

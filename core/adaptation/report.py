"""A comparison to hand on: curves and tables as CSV, curves as PNG, everything as JSON, and one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from core.adaptation.adapt import facts_of
from core.adaptation.figures import NAMES, TESTS, curves_figure, curves_png
from core.adaptation.pairs import Pair
from core.adaptation.results import accuracies, comparisons, curves
from core.data.pictures import enlarge, side_by_side
from core.data.png import png_bytes
from core.data.text_files import write_text

PUBLISHED = {  # the experiment that this follows: CelebA-HQ at 256 pixels, 1,200 and 300 pictures, target test from the same generator
    "source": {"source": 0.890, "target": 0.593},
    "adapted": {"source": 0.710, "target": 0.870},
}
PAIR_SIDE = 192
HEAD = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.3rem .8rem;border-bottom:1px solid #ddd;text-align:right}
th:first-child,td:first-child{text-align:left}pre{background:#f6f5f3;padding:1rem;overflow:auto}figure{display:inline-block;margin:.5rem}
figcaption{font-size:.85rem;color:#666}img{max-width:100%}.wide{overflow-x:auto}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:1rem}.pairs figure{margin:0}"""
SAID = {"only_this": "only this one right", "only_other": "only source only right", "one_answer": "one answer"}  # columns


@dataclass(frozen=True)
class Study:
    """What a report is made of: the folder of a comparison, the folder of the adapted set, the settings, and some pairs to show."""

    title: str
    folder: Path
    adapted: Path
    settings: dict[str, Any]
    pairs: Sequence[Pair] = ()
    note: str = ""


def export(study: Study, out: Path) -> list[Path]:
    """Writes curves.csv, accuracies.csv, comparisons.csv, accuracy.png, loss.png, report.json and report.html into `out`; returns their
    paths, the report's last.
    """
    tables = {"curves": curves(study.folder), "accuracies": accuracies(study.folder), "comparisons": comparisons(study.folder)}
    written = [write_text(out / f"{name}.csv", table.to_csv(index=False)) for name, table in tables.items()]
    for metric in ("accuracy", "loss"):
        written.append(out / f"{metric}.png")
        written[-1].write_bytes(curves_png(tables["curves"], study.title, metric))
    facts = {
        "title": study.title, "note": study.note, "classifier": study.settings, "adaptation": facts_of(study.adapted),
        "published": PUBLISHED, "doubts": doubts(tables["accuracies"]),
        **{name: json.loads(table.to_json(orient="records")) for name, table in tables.items()},
    }  # fmt: skip
    written.append(write_text(out / "report.json", json.dumps(facts, indent=2) + "\n"))
    return [*written, write_text(out / "report.html", _page(study, tables))]


def doubts(table: pd.DataFrame) -> list[str]:
    """A sentence for each arm of `results.accuracies` that has not learned its own domain, for then nothing can be said of another."""
    found = []
    for row in table.to_dict("records"):
        if row["trained on"] == row["tested on"] and row["low"] <= row["one_answer"]:
            what = "is no measure of what could be reached" if row["trained on"] == "target" else "says nothing of the others"
            found.append(
                f"Trained {TESTS[row['tested on']]} and tested there: {100 * row['accuracy']:.1f} %, where one answer to every picture "
                f"is right in {100 * row['one_answer']:.1f} %. This classifier has not learned its own domain, so it {what}. "
                "Give it more epochs, another network, or more pictures."
            )
    return found


def percent(table: pd.DataFrame) -> pd.DataFrame:
    """The tables as people read them: names in words, shares in percent, gains in points, p to two figures."""
    shown = pd.DataFrame()
    for column in table:
        if column in ("trained on", "against"):
            shown[column] = table[column].map(NAMES)
        elif column == "tested on":
            shown[column] = table[column].map(lambda name: TESTS[name].removeprefix("on "))
        elif column == "p":
            shown[column] = table[column].map("{:.2g}".format)
        elif table[column].dtype.kind == "f":
            shown[SAID.get(column, column)] = (100 * table[column]).map("{:.1f}".format)
        else:
            shown[SAID.get(column, column)] = table[column]
    return shown


def _page(study: Study, tables: dict[str, pd.DataFrame]) -> str:
    accuracy = curves_figure(tables["curves"], study.title).to_html(full_html=False, include_plotlyjs=True)
    loss = curves_figure(tables["curves"], study.title, "loss").to_html(full_html=False, include_plotlyjs=False)
    settings = json.dumps({"classifier": study.settings, "adaptation": facts_of(study.adapted)}, indent=2, ensure_ascii=False)
    published = pd.DataFrame(
        [{"trained on": arm, "tested on": domain, "accuracy": value} for arm, row in PUBLISHED.items() for domain, value in row.items()]
    )
    parts = [
        f"{HEAD}<title>{html.escape(study.title)}</title><style>{STYLE}</style>",
        f"<h1>{html.escape(study.title)}</h1><p>{html.escape(study.note)}</p>",
        "<h2>Accuracy, %</h2><p>Mean and sd over the seeds of finished classifiers; 95 % bootstrap over seeds and test pictures.</p>",
        "<p>One answer: what the commonest label, given to every test picture, would reach.</p>",
        table_html(tables["accuracies"]),
        *(f"<p><b>{html.escape(sentence)}</b></p>" for sentence in doubts(tables["accuracies"])),
        "<h2>Against source only, points</h2><p>p: exact McNemar test, the largest over seeds.</p>",
        table_html(tables["comparisons"]),
        f"<h2>Curves</h2>{accuracy}<h3>Loss</h3>{loss}",
        "<h2>Published</h2><p>Faces at 256 pixels, the target test set from the same generator as the training set; %.</p>",
        table_html(published),
        f"<h2>Pairs</h2><div class=pairs>{''.join(map(_figure, study.pairs))}</div>",
        f"<h2>Settings</h2><pre>{html.escape(settings)}</pre></html>",
    ]
    return "\n".join(parts)


def table_html(table: pd.DataFrame) -> str:
    """A table for a page, as `percent` shows it."""
    return f'<div class="wide">{percent(table).to_html(index=False, border=0)}</div>' if len(table) else "<p>Nothing yet.</p>"


def _figure(pair: Pair) -> str:
    picture = side_by_side([enlarge(side, PAIR_SIDE) for side in (pair.before, pair.after)])
    words = ", ".join(
        [*(f"{name}: {label}" for name, label in pair.labels.items()), *(f"{name} {value:.2f}" for name, value in pair.scores.items())]
    )
    return figure_html(picture, words, "before and after")


def figure_html(picture: Image.Image, words: str, alt: str) -> str:
    """A picture with its caption, inside the page."""
    data = base64.b64encode(png_bytes(picture, {})).decode()
    image = f'<img src="data:image/png;base64,{data}" alt="{html.escape(alt)}">'
    return f"<figure>{image}<figcaption>{html.escape(words)}</figcaption></figure>"

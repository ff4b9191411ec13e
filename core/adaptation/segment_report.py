"""A one-shot comparison to hand on: tables as CSV, figures as PNG, everything as JSON, and one HTML file that needs nothing beside it."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from core.adaptation.figures import NAMES, TESTS, curves_figure, curves_png
from core.adaptation.report import HEAD, STYLE, figure_html, table_html
from core.adaptation.segment_figures import classes_figure, classes_png, confusion_figure, confusion_png
from core.adaptation.segment_overlays import legend_picture
from core.adaptation.segment_results import SEGMENT_DOMAINS, by_class, confusions, mious, segment_curves, segment_gains
from core.data.mask_classes import MaskClasses
from core.data.text_files import write_text

PUBLISHED = (
    "Published: DATUM on one image of Cityscapes, source GTA5, is up to 7.1 points of mIoU above the best earlier one-shot method "
    "(Benigmim et al., CVPRW 2023)."
)


@dataclass(frozen=True)
class Shown:
    """One scene to look at: its pictures side by side (image, truth where it is known, predictions), and what they are."""

    picture: Image.Image
    words: str


@dataclass(frozen=True)
class SegmentStudy:
    """What a report is made of: the folder of a comparison, its classes, the settings, and some scenes to show."""

    title: str
    folder: Path
    classes: MaskClasses
    settings: dict[str, Any]
    shown: Sequence[Shown] = ()
    note: str = ""


def segment_export(study: SegmentStudy, out: Path) -> list[Path]:
    """Writes curves.csv, miou.csv, gains.csv, classes.csv, confusion_<arm>_<domain>.csv, their PNGs, legend.png, report.json and
    report.html into `out`; returns their paths, the report's last.
    """
    folder = study.folder
    tables = {"curves": segment_curves(folder), "miou": mious(folder), "gains": segment_gains(folder), "classes": by_class(folder)}
    written = [write_text(out / f"{name}.csv", table.to_csv(index=False)) for name, table in tables.items()]
    matrices = _matrices(study, tables["miou"])
    written += [write_text(out / f"{name}.csv", table.to_csv()) for name, table in matrices.items()]
    pictures = {"curves": curves_png(tables["curves"], study.title, "miou", "iteration")}
    pictures |= {f"classes_{domain}": classes_png(tables["classes"], study.title, domain) for domain in _domains(tables["miou"])}
    pictures |= {name: confusion_png(table, name.replace("_", " ")) for name, table in matrices.items()}
    for name, data in pictures.items():
        written.append(out / f"{name}.png")
        written[-1].write_bytes(data)
    legend_picture(study.classes).save(out / "legend.png")
    facts = {name: json.loads(table.to_json(orient="records")) for name, table in tables.items()}
    head = {"title": study.title, "note": study.note, "settings": study.settings}
    written.append(write_text(out / "report.json", json.dumps({**head, **facts}, indent=2) + "\n"))
    return [*written, out / "legend.png", write_text(out / "report.html", _page(study, tables, matrices))]


def _domains(table: pd.DataFrame) -> list[str]:
    return [domain for domain in SEGMENT_DOMAINS if len(table) and (table["tested on"] == domain).any()]


def _matrices(study: SegmentStudy, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The confusion of every arm in every domain."""
    pairs = zip(table["trained on"], table["tested on"], strict=True) if len(table) else ()
    return {f"confusion_{arm}_{domain}": confusions(study.folder, arm, domain) for arm, domain in pairs}


def _page(study: SegmentStudy, tables: dict[str, pd.DataFrame], matrices: dict[str, pd.DataFrame]) -> str:
    curves = curves_figure(tables["curves"], study.title, "miou", "iteration").to_html(full_html=False, include_plotlyjs=True)
    settings = html.escape(json.dumps(study.settings, indent=2, ensure_ascii=False))
    parts = [
        f"{HEAD}<title>{html.escape(study.title)}</title><style>{STYLE}</style>",
        f"<h1>{html.escape(study.title)}</h1><p>{html.escape(study.note)}</p>",
        "<h2>mIoU, %</h2><p>Mean and sd over the seeds of finished segmenters; 95 % bootstrap over seeds and test pictures.</p>",
        table_html(tables["miou"]),
        "<h2>Against source only, points</h2>",
        table_html(tables["gains"]),
        f"<p>{html.escape(PUBLISHED)}</p><h2>Curves</h2>{curves}",
        f"<h2>IoU of each class, %</h2>{table_html(_wide(tables['classes']))}",
        *(_plain(classes_figure(tables["classes"], study.title, domain)) for domain in _domains(tables["miou"])),
        "<h2>Confusion</h2>",
        *(_plain(confusion_figure(table, study.title, _said(name))) for name, table in matrices.items()),
        f"<h2>Scenes</h2>{figure_html(legend_picture(study.classes), 'the classes', 'legend')}",
        *(figure_html(shown.picture, shown.words, shown.words) for shown in study.shown),
        f"<h2>Settings</h2><pre>{settings}</pre></html>",
    ]
    return "\n".join(parts)


def _plain(figure: Any) -> str:
    return figure.to_html(full_html=False, include_plotlyjs=False)


def _said(name: str) -> str:
    """The name of a confusion table in words."""
    arm, _, domain = name.removeprefix("confusion_").rpartition("_")
    return f"{NAMES[arm]}, {TESTS[domain]}"


def _wide(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each arm and domain, a column a class."""
    if not len(table):
        return table
    return table.pivot_table(index=["trained on", "tested on"], columns="class", values="iou", sort=False).reset_index()

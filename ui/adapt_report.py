"""Step 5 of the Adapt tab: what came of it in a sentence, and the files to take away."""

from __future__ import annotations

import zipfile
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from core.adaptation.jobs import ClassifyTask
from core.types import ShiftlabError
from ui.adapt_chain import Chain, Seen, Updates
from ui.adapt_read import index_of, tables_of
from ui.adapt_tables import PUBLISHED_HTML, tables_html
from ui.edit_show import alert
from ui.numbers import number

FILES = {  # elem_id: (button, what is in it)
    "html": ("HTML", "one page with curves, tables, pairs and every setting; it needs nothing beside it"),
    "png": ("PNG", "the accuracy curves"),
    "csv": ("CSV", "curves, accuracies and comparisons, in a ZIP"),
    "json": ("JSON", "everything as data"),
}
NOTHING = '<div class="blank tall"><b>No report yet.</b> It is written when the classifiers of step 4 are trained.</div>'


class ReportStep:
    """Components, and `show` for what changed."""

    def __init__(self) -> None:
        with gr.Column(elem_classes="card told-set report", visible=False) as self.column_of_step:
            self.said = gr.HTML(NOTHING, elem_id="adapt-report", elem_classes="plain")
            with gr.Row(elem_classes="downloads", visible=False) as self.row:
                self.buttons = {
                    kind: gr.DownloadButton(title, size="sm", min_width=90, scale=0, elem_id=f"adapt-report-{kind}",
                                            variant="primary" if kind == "html" else "secondary")
                    for kind, (title, _) in FILES.items()
                }  # fmt: skip
            self.help = gr.HTML(_help_html(), visible=False, elem_classes="plain")

    def outputs(self) -> list[Any]:
        return [self.said, self.row, self.help, *self.buttons.values()]

    def show(self, chain: Chain, seen: Seen) -> Updates:
        """The files are written when they are first looked for."""
        job = chain.classify if chain.classify is not None and chain.classify.state == "done" else None
        if not seen.new("report", job and job.id):
            return {}
        there = {self.row: gr.update(visible=job is not None), self.help: gr.update(visible=job is not None)}
        if job is None:
            return {**there, self.said: NOTHING}
        try:
            files = self._written(job)
        except (ShiftlabError, OSError) as error:
            return {self.said: alert(f"The report cannot be written: {error}")}
        buttons = {self.buttons[kind]: gr.update(value=str(path)) for kind, path in files.items()}
        return {**there, self.said: said_html(job), **buttons}

    def _written(self, job: Any) -> dict[str, Path]:
        """The files by kind, where Gradio serves files from."""
        out = Path(self.buttons["html"].GRADIO_CACHE) / "exports" / f"report-{job.id}"
        ClassifyTask(**job.settings).export(Path(job.folder), out, job.name)
        with zipfile.ZipFile(out / "tables.zip", "w", zipfile.ZIP_DEFLATED) as file:
            for path in sorted(out.glob("*.csv")):
                file.write(path, path.name)
        return {"html": out / "report.html", "png": out / "accuracy.png", "csv": out / "tables.zip", "json": out / "report.json"}


def said_html(job: Any) -> str:
    """The gain in a sentence, what was noted of the set, then the tables."""
    accuracies, comparisons = tables_of(Path(job.folder))
    notes = "".join(f'<p class="help">{escape(note)}</p>' for note in index_of(Path(job.settings["index"])).report.notes)
    return f'<h2 class="heading">{verdict(accuracies)}</h2>{notes}{tables_html(accuracies, comparisons)}{PUBLISHED_HTML}'


def verdict(accuracies: Any) -> str:
    """What adapting was worth, on true target pictures where there are any."""
    found = {(row["trained on"], row["tested on"]): 100 * row["accuracy"] for row in accuracies.to_dict("records")}
    for domain, name in (("target", "true target pictures"), ("adapted", "adapted pictures")):
        if ("source", domain) in found and ("adapted", domain) in found:
            before, after = found["source", domain], found["adapted", domain]
            oracle = f"; the oracle reaches {found['target', domain]:.1f} %" if ("target", domain) in found else ""
            return f"On {name}, accuracy goes from {before:.1f} to {after:.1f} %, {number(after - before, '+.1f')} points{oracle}."
    return "Only one kind of classifier was trained, so nothing is compared."


def _help_html() -> str:
    return "".join(f'<p class="help"><b>{title}</b>: {what}.</p>' for title, what in FILES.values())

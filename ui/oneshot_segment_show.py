"""What came of the segmenters so far: curves, mIoU, classes, confusion, predictions, and the files to take away."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path
from typing import Any

import gradio as gr

from core.adaptation.figures import NAMES, TESTS, curves_figure
from core.adaptation.segment_figures import classes_figure, confusion_figure
from core.adaptation.segment_jobs import SegmentTask
from core.adaptation.segment_results import confusions, segment_curves
from core.types import ShiftlabError
from ui.edit_show import alert
from ui.oneshot_chain import Seen, Updates, Values
from ui.oneshot_gallery import carried_html
from ui.oneshot_overlay import TELL_OPACITY, overlay_html, running_html
from ui.oneshot_read import classes_of, finished_of, mious_of
from ui.oneshot_tables import segment_tables_html

PLOT_SECONDS = 2.0  # between two figures of a job that runs
FILES = {"html": "HTML", "png": "PNG", "csv": "CSV", "json": "JSON"}  # kind: button
HELP = (
    '<p class="help"><b>HTML</b> is one page with everything; <b>PNG</b> the curves; <b>CSV</b> curves, mIoU, gains, classes and '
    "confusions in a ZIP; <b>JSON</b> everything as data.</p>"
)


class SegmentFigures:
    """The right column of step 4."""

    def __init__(self) -> None:
        with gr.Column(elem_classes="card curves", visible=False) as self.curves_card:
            gr.HTML('<h2 class="heading">mIoU as they learn</h2>', elem_classes="plain")
            self.curves = gr.Plot(show_label=False, container=False, elem_id="oneshot-curves")
        with gr.Column(elem_classes="card told-set", visible=False) as self.numbers_card:
            self.tables = gr.HTML("", elem_id="oneshot-miou", elem_classes="plain")
            with gr.Row(elem_classes="downloads", visible=False) as self.downloads:
                self.buttons = {
                    kind: gr.DownloadButton(title, size="sm", min_width=90, scale=0, elem_id=f"oneshot-report-{kind}",
                                            variant="primary" if kind == "html" else "secondary")
                    for kind, title in FILES.items()
                }  # fmt: skip
            self.help = gr.HTML(HELP, visible=False, elem_classes="plain")
        with gr.Column(elem_classes="card told-set", visible=False) as self.carried_card:
            self.carried = gr.HTML("", elem_id="oneshot-carried", elem_classes="plain")
        with gr.Column(elem_classes="card told-set", visible=False) as self.looks_card:
            self.looks = gr.HTML("", js_on_load=TELL_OPACITY, elem_id="oneshot-looks", elem_classes="plain")
        with gr.Column(elem_classes="card curves", visible=False) as self.classes_card:
            self.domain = gr.Radio(
                [(words, key) for key, words in TESTS.items() if key != "adapted"], value="target", label="Tested", show_label=False,
                container=False, interactive=True, elem_id="oneshot-domain",
            )  # fmt: skip
            self.classes = gr.Plot(show_label=False, container=False, elem_id="oneshot-class-bars")
            self.arm = gr.Dropdown(
                [], label="Confusion of", interactive=True, allow_custom_value=True, elem_id="oneshot-confusion-of"
            )
            self.confusion = gr.Plot(show_label=False, container=False, elem_id="oneshot-confusion")

    def inputs(self) -> set[Any]:
        return {self.domain, self.arm}

    def outputs(self) -> list[Any]:
        return [
            self.curves_card, self.curves, self.numbers_card, self.tables, self.downloads, *self.buttons.values(), self.help,
            self.carried_card, self.carried, self.looks_card, self.looks, self.classes_card, self.domain, self.classes, self.arm,
            self.confusion,
        ]  # fmt: skip

    def show(self, job: Any, seen: Seen, values: Values) -> Updates:
        """What is not on the page yet."""
        if job is None:
            return {card: gr.update(visible=False) for card in self._cards()} if seen.new("segment figures", None) else {}
        looks = {**self._carried(job, seen), **self._looks(job, seen)}
        return {**self._curves(job, seen), **self._numbers(job, seen), **self._classes(job, seen, values), **looks}

    def _cards(self) -> list[Any]:
        return [self.curves_card, self.numbers_card, self.carried_card, self.looks_card, self.classes_card]

    def _curves(self, job: Any, seen: Seen) -> Updates:
        last = seen.plotted.get("miou", ("", 0.0))
        if job.live and last[0] == job.id and time.monotonic() - last[1] < PLOT_SECONDS:
            return {}
        table = segment_curves(Path(job.folder))
        if not seen.new("miou", (job.id, len(table))):
            return {}
        seen.plotted["miou"] = (job.id, time.monotonic())
        there = len(table) > 0
        shown = {self.curves_card: gr.update(visible=there)}
        return {**shown, **({self.curves: curves_figure(table, job.id, "miou", "iteration")} if there else {})}

    def _numbers(self, job: Any, seen: Seen) -> Updates:
        """Tables as soon as one segmenter is finished; the files when all are."""
        finished, done = finished_of(Path(job.folder)), job.state == "done"
        if not seen.new("miou tables", (job.id, finished, done)):
            return {}
        shown = {self.numbers_card: gr.update(visible=bool(finished))}
        shown |= {part: gr.update(visible=done) for part in (self.downloads, self.help)}
        shown |= {self.tables: segment_tables_html(Path(job.folder)) if finished else ""}
        return {**shown, **(self._files(job) if done else {})}

    def _files(self, job: Any) -> Updates:
        try:
            files = self._written(job)
        except (ShiftlabError, OSError) as error:
            return {self.help: gr.update(value=alert(f"The report cannot be written: {error}"), visible=True)}
        return {self.buttons[kind]: gr.update(value=str(path)) for kind, path in files.items()}

    def _written(self, job: Any) -> dict[str, Path]:
        """The report's files by kind, where Gradio serves files from; written once."""
        out = Path(self.buttons["html"].GRADIO_CACHE) / "exports" / f"segment-{job.id}"
        if not (out / "tables.zip").is_file():
            SegmentTask(**job.settings).export(Path(job.folder), out, job.name)
            with zipfile.ZipFile(out / "tables.zip", "w", zipfile.ZIP_DEFLATED) as file:
                for path in sorted(out.glob("*.csv")):
                    file.write(path, path.name)
        return {"html": out / "report.html", "png": out / "curves.png", "csv": out / "tables.zip", "json": out / "report.json"}

    def _classes(self, job: Any, seen: Seen, values: Values) -> Updates:
        folder, finished = Path(job.folder), finished_of(Path(job.folder))
        tested = list(dict.fromkeys(mious_of(folder)["tested on"])) if finished else []
        domain = values.get(self.domain) if values.get(self.domain) in tested else (tested[-1] if tested else "")
        arms = [arm for arm, _ in finished]
        arm = values.get(self.arm) if values.get(self.arm) in arms else (arms[-1] if arms else "")
        if not seen.new("classes", (job.id, finished, domain, arm)):
            return {}
        if not finished:
            return {self.classes_card: gr.update(visible=False)}
        said = f"Confusion: {NAMES[arm]}, {TESTS[domain]}"
        return {
            self.classes_card: gr.update(visible=True),
            self.domain: gr.update(value=domain, visible=len(tested) > 1),
            self.arm: gr.update(choices=[(NAMES[name], name) for name in arms], value=arm),
            self.classes: classes_figure(classes_of(folder), f"{job.id} {domain}", domain),
            self.confusion: confusion_figure(confusions(folder, arm, domain), f"{job.id} {arm} {domain}", said),
        }

    def _carried(self, job: Any, seen: Seen) -> Updates:
        html = carried_html(Path(job.folder))
        return {self.carried_card: gr.update(visible=bool(html)), self.carried: html} if seen.new("carried scenes", (job.id, html)) else {}

    def _looks(self, job: Any, seen: Seen) -> Updates:
        """While it learns the last predictions that it told of; then those of every finished segmenter."""
        finished = finished_of(Path(job.folder))
        step = job.step if job.state != "done" else -1
        if not seen.new("looks", (job.id, finished, step)):
            return {}
        html = overlay_html(job, finished) if job.state == "done" and finished else running_html(Path(job.folder))
        return {self.looks_card: gr.update(visible=bool(html)), self.looks: html}

"""Step 3 of the One-shot tab: prompts over a table of classes, and the pictures that the personalised model draws of them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import gradio as gr

from core.adaptation.likeness import read_likeness
from core.adaptation.oneshot_jobs import GENERATED, GenerateTask
from core.methods.datum_generate import PAPER_CLASSES, plan
from core.methods.datum_settings import GenerateSettings
from core.types import ShiftlabError
from core.worlds.streets import CLASSES
from ui.edit_show import alert
from ui.forms import build_form
from ui.job_line import JobLine, nothing_yet, start_update
from ui.oneshot_chain import Chain, Seen, Shelves, Updates, Values
from ui.oneshot_checkpoint import CheckpointPicker
from ui.oneshot_gallery import gallery_html, likeness_html, pictures_of
from ui.tune_watch import age

EACH = 20  # pictures of a class at first
TABLES = {"Streets": tuple(CLASSES), "Paper": PAPER_CLASSES}  # lists of classes to begin with
PAGE = 48  # pictures shown at first, and more at a click
NO_PICTURES = (
    '<div class="blank tall"><b>Nothing is generated yet.</b> Say how many pictures of each class there shall be, and press Start. '
    "They appear here as they are drawn.</div>"
)


class GenerateStep:
    """Components, handlers, and `show` for what changed."""

    def __init__(self, lab: Any, shelves: Shelves) -> None:
        self.lab, self.shelves = lab, shelves
        with gr.Row(elem_classes="workbench", visible=False) as self.column_of_step:
            with gr.Column(scale=0, min_width=300, elem_classes="controls"):
                with gr.Column(elem_classes="card"):
                    self.picker = CheckpointPicker(lab, shelves, "Draw with", "oneshot-draw")
                    with gr.Row(elem_classes="pair"):
                        self.classes = gr.Radio(
                            list(TABLES), value="Streets", label="Classes", interactive=True, elem_id="oneshot-classes", min_width=170
                        )
                        self.each = gr.Number(
                            EACH, label="Of each", precision=0, minimum=0, interactive=True, elem_id="oneshot-each", min_width=90
                        )
                    self.table = gr.Dataframe(
                        rows_of("Streets"), headers=["class", "pictures"], datatype=["str", "number"], type="array", interactive=True,
                        column_count=2, show_label=False, label="Pictures of each class", max_height=330,
                        buttons=[], elem_id="oneshot-table", elem_classes="in-card",
                    )  # fmt: skip
                    self.counted = gr.HTML(counted_html(rows_of("Streets")), elem_id="oneshot-counted", elem_classes="plain")
                with gr.Column(elem_classes="card run-card"):
                    self.start_button = gr.Button("Start", variant="primary", elem_id="oneshot-generate", elem_classes="in-card")
                    self.run = gr.Dropdown(
                        [], label="Run", visible=False, interactive=True, allow_custom_value=True, elem_id="oneshot-generate-run"
                    )
                    self.line = JobLine(lab, "oneshot-generate-job")
                self.next = gr.Button("Next: the segmenter", variant="primary", visible=False, elem_id="oneshot-to-segment")
                with gr.Column(elem_classes="card"):
                    self.form = build_form(GenerateSettings, prefix="oneshot-generate-")
                    self.seed = gr.Number(
                        0, label="Seed", info="Of the first picture; the next ones count on.", precision=0, minimum=0, maximum=2**31 - 1,
                        interactive=True, elem_id="oneshot-seed",
                    )  # fmt: skip
            with gr.Column(scale=1, min_width=300, elem_classes="stage"):
                self.said = gr.HTML("", elem_id="oneshot-likeness", elem_classes="plain")
                with gr.Column(elem_classes="card told-set"):
                    self.gallery = gr.HTML(NO_PICTURES, elem_id="oneshot-gallery", elem_classes="plain")
                    with gr.Row(elem_classes="downloads"):
                        self.more = gr.Button("More pictures", size="sm", visible=False, min_width=120, scale=0, elem_id="oneshot-more")
                        self.export = gr.DownloadButton(
                            "Download as ZIP", size="sm", visible=False, min_width=140, scale=0, elem_id="oneshot-export"
                        )

    def inputs(self) -> set[Any]:
        return {self.picker.part, self.seed, self.classes, self.each, self.table, self.run, *self.form.inputs()}

    def outputs(self) -> list[Any]:
        return [
            self.picker.part, *self.form.outputs(), self.seed, self.table, self.counted, self.start_button, self.run,
            *self.line.outputs(), self.next, self.said, self.gallery, self.more, self.export,
        ]  # fmt: skip

    # --- handlers -----------------------------------------------------------------------------------------------------------------

    def choose_classes(self, values: Values, seen: Seen) -> Updates:
        rows = rows_of(values[self.classes], self._each(values))
        return {self.table: rows, self.counted: counted_html(rows)}

    def choose_each(self, values: Values, seen: Seen) -> Updates:
        """As many pictures of every class that stands in the table."""
        rows = [[row[0], self._each(values)] for row in values[self.table]]
        return {self.table: rows, self.counted: counted_html(rows)}

    def _each(self, values: Values) -> int:
        return int(values[self.each] or 0)

    def count(self, values: Values, seen: Seen) -> Updates:
        return {self.counted: counted_html(values[self.table])}

    def start(self, values: Values, chain: Chain) -> None:
        """Puts the job into the queue, and shows it."""
        table, settings = read_table(values[self.table]), self.form.read(values)
        plan(table, settings, "", 0)
        weights = chain.checkpoint[1] if chain.checkpoint else None
        task = GenerateTask(table=table, weights=weights, settings=settings, seed=int(values[self.seed] or 0))
        with_ = f"step {chain.checkpoint[0]:,} of {chain.choices.name}" if chain.checkpoint else "the model as it was"
        self.shelves.shots.choose(generate=self.lab.start(task, f"{sum(count for _, count in table):,} by {with_}"))

    def choose_run(self, values: Values, chain: Chain) -> None:
        if values[self.run]:
            self.shelves.shots.choose(generate=values[self.run])

    def show_more(self, values: Values, seen: Seen) -> None:
        seen.shown_pictures += PAGE

    # --- what it shows ------------------------------------------------------------------------------------------------------------

    def show(self, chain: Chain, seen: Seen, values: Values) -> Updates:
        """What is not on the page yet."""
        job = chain.generate
        updates = {**self.line.show(job, seen), **self.picker.show(chain, seen), **self._runs(chain, seen)}
        if seen.new("generate form of", job and job.id):
            updates |= self._form(job)
        return {**updates, **self._pictures(chain, seen), **self._likeness(chain, seen)}

    def _runs(self, chain: Chain, seen: Seen) -> Updates:
        choices = [(f"{job.name} · {age(job.created)}", job.id) for job in chain.generates]
        if not seen.new("generates", (choices, chain.choices.generate)):
            return {}
        shown = len(choices) > 1 or (bool(choices) and chain.generate is None)
        return {self.run: gr.update(choices=choices, value=chain.generate.id if chain.generate else None, visible=shown)}

    def _form(self, job: Any) -> Updates:
        """As the run that is shown was started."""
        if job is None:
            return {self.start_button: start_update(None)}
        rows = [list(row) for row in job.settings["table"]]
        shown = {self.table: rows, self.counted: counted_html(rows), self.seed: job.settings["seed"]}
        form = dict(zip(self.form.outputs(), self.form.show(job.settings["settings"]), strict=True))
        return {**shown, **form, self.start_button: start_update(job)}

    def _pictures(self, chain: Chain, seen: Seen) -> Updates:
        seen.shown_pictures = max(seen.shown_pictures, PAGE)
        folder = Path(chain.generate.folder) / GENERATED if chain.generate else None
        pictures = pictures_of(folder) if folder is not None else []
        live, whole = chain.generate is not None and chain.generate.live, chain.drawn is not None
        if not seen.new("pictures", (folder, len(pictures), live, whole, seen.shown_pictures)):
            return {}
        empty = nothing_yet(chain.generate, NO_PICTURES)
        return {
            self.gallery: gallery_html(folder, pictures, seen.shown_pictures) if folder is not None and pictures else empty,
            self.more: gr.update(visible=len(pictures) > seen.shown_pictures),
            self.export: gr.update(visible=whole, **({"value": str(self._zip(chain))} if whole else {})),
            self.next: gr.update(visible=whole),
        }

    def _likeness(self, chain: Chain, seen: Seen) -> Updates:
        """When the job is over, for the comparison comes after the pictures."""
        done = chain.drawn is not None and chain.generate.state == "done"
        if not seen.new("likeness", chain.generate.id if done else None):
            return {}
        return {self.said: likeness_html(chain.drawn, read_likeness(chain.drawn)) if done else ""}

    def _zip(self, chain: Chain) -> Path:
        """The set as a file, where Gradio serves files from; written once."""
        path = Path(self.export.GRADIO_CACHE) / "exports" / f"generated-{chain.generate.id}.zip"
        return path if path.is_file() else zipped(chain.drawn, path)


def rows_of(name: str, each: int = EACH) -> list[list[Any]]:
    """A table to begin with."""
    return [[word, each] for word in TABLES.get(name, TABLES["Streets"])]


def read_table(rows: Any) -> tuple[tuple[str, int], ...]:
    """What stands in the table, as GenerateTask takes it; empty rows do not count. Raises ShiftlabError for what is no number."""
    found = []
    for name, count in ((str(row[0] or "").strip(), row[1]) for row in rows):
        try:
            number = int(float(count or 0))
        except (TypeError, ValueError, OverflowError):
            raise ShiftlabError(f"“{count}” is no number of pictures of “{name}”. Write a whole number, such as {EACH}.") from None
        if number < 0:
            raise ShiftlabError(f"There cannot be {number} pictures of “{name}”. Write 0 or more.")
        if name and number:
            found.append((name, number))
    return tuple(found)


def counted_html(rows: Any) -> str:
    """How many pictures there will be."""
    try:
        table = read_table(rows)
    except ShiftlabError as error:
        return alert(str(error))
    return f'<p class="estimate"><b>{sum(count for _, count in table):,}</b> pictures of {len(table)} classes.</p>'


def zipped(folder: Path, path: Path) -> Path:
    """A folder's files as a ZIP, which appears whole; pictures are packed as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as file:
        for found in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
            file.write(found, found.name)
    return temporary.replace(path)

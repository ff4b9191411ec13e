"""A part of step 1 of the Adapt tab: what a target without labels is made of, counted by a probe, and the set rebalanced to it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import gradio as gr

from core.adaptation.jobs import ADAPTED
from core.adaptation.share_jobs import SharesTask, rebalanced_by
from core.adaptation.shares import ShareSettings, read_levels, read_shares, shares_of
from core.jobs.sets import SetShelf, shelf_of
from core.types import ShiftlabError
from ui.adapt_chain import Chain, Seen, Updates, Values, chain_of, foremost
from ui.adapt_read import index_of
from ui.adapt_set_show import reading_html
from ui.adapt_shares_show import BEST, HOW_NAMES, WAY_NAMES, Estimated, estimate_html, plan_html
from ui.edit_show import alert
from ui.forms import build_form
from ui.job_line import JobLine
from ui.read_again import again_button, again_update

SAME = ""
ASKED = ("levels", "highest", "pictures")  # of the settings
HELP = (
    '<p class="help">How many pictures of the target have an attribute, where nobody labelled it? A probe reads it in the innermost '
    "features of the base. The set can then be rebalanced to these shares before it is carried across.</p>"
)
REBALANCE_HELP = (
    '<p class="help">Rebalancing makes a new set and opens it; this one stays. It is no gain by itself: where it was measured, no '
    "classifier became better by it (benchmarks/shift.md). Carry both across, and compare.</p>"
)


class SharesPart:
    """Controls on the left, made at once, and on the right, by `build_result`; handlers, and `show` for what changed."""

    def __init__(self, lab: Any, shelf: SetShelf) -> None:
        self.lab, self.shelf, self.targets = lab, shelf, shelf_of(lab.home / "targets", labels=False)
        with gr.Column(elem_classes="card"), gr.Accordion(
            "Shares without labels", open=False, elem_classes="more shares", elem_id="adapt-shares"
        ) as self.fold:
            gr.HTML(HELP, elem_classes="plain")
            self.columns = gr.Dropdown(
                [], value=[], multiselect=True, label="Attributes", info="Label columns that are counted in the target.", interactive=True,
                allow_custom_value=True, elem_id="adapt-shares-columns",
            )  # fmt: skip
            self.target = gr.Dropdown(
                [], value=SAME, label="Target pictures", info="Their labels are not looked at.", interactive=True, allow_custom_value=True,
                elem_id="adapt-shares-target",
            )  # fmt: skip
            self.drop = gr.File(
                label="ZIP of target pictures", show_label=False, file_types=[".zip"], type="filepath", height=96,
                elem_id="adapt-shares-drop", elem_classes="drop small-drop",
            )  # fmt: skip
            self.reading = gr.HTML("", elem_id="adapt-shares-reading", elem_classes="plain")
            self.again = again_button("adapt-shares-read-again")
            self.twins = gr.Checkbox(
                True, label="Learn from the adapted pictures too", visible=False, interactive=True, elem_id="adapt-shares-twins"
            )
            with gr.Accordion("More", open=False, elem_classes="more"):
                self.form = build_form(ShareSettings, only=ASKED, prefix="adapt-shares-")
            self.estimate = gr.Button("Estimate the shares", size="sm", elem_id="adapt-shares-start")
            self.line = JobLine(lab, "adapt-shares-job")

    def build_result(self) -> None:
        """The card that appears when there is something to tell."""
        with gr.Column(elem_classes="card told-set", visible=False) as self.card:
            self.told = gr.HTML("", elem_id="adapt-shares-told", elem_classes="plain")
            gr.HTML(REBALANCE_HELP, elem_classes="plain")
            with gr.Row(elem_classes="rebalance-row"):
                self.how = gr.Dropdown(
                    [(words, how) for how, words in HOW_NAMES.items()], label="How", interactive=True, filterable=False,
                    elem_id="adapt-rebalance-how", min_width=180,
                )  # fmt: skip
                self.way = gr.Dropdown(
                    [(words, way) for way, words in WAY_NAMES.items()], value=BEST, label="To the estimate", interactive=True,
                    filterable=False, elem_id="adapt-rebalance-way", min_width=180,
                )  # fmt: skip
                self.rebalance = gr.Button("Rebalance the set", size="sm", min_width=140, scale=0, elem_id="adapt-rebalance")

    def inputs(self) -> set[Any]:
        return {self.columns, self.target, self.drop, self.twins, self.how, self.way, *self.form.inputs()}

    def outputs(self) -> list[Any]:
        parts = [self.fold, self.columns, self.target, self.drop, self.reading, self.again, self.twins, self.card, self.told]
        return [*parts, *self.line.outputs()]

    # --- handlers -----------------------------------------------------------------------------------------------------------------

    def choose_target(self, values: Values, seen: Seen) -> None:
        self._chain(seen).need_set()
        self.shelf.choose(seen.set, unlabelled=values[self.target] or SAME)

    def upload(self, values: Values, seen: Seen) -> Updates:
        self._chain(seen).need_set()
        if not values[self.drop]:
            raise ShiftlabError("No file came. Drop a ZIP of target pictures.")
        path = Path(values[self.drop])
        self.shelf.choose(seen.set, unlabelled=self.targets.bring(path, path.stem))
        return {self.drop: None}

    def read_again(self, values: Values, seen: Seen) -> None:
        self.targets.read_again(self._chain(seen).choices.unlabelled)

    def start(self, values: Values, chain: Chain) -> None:
        """Puts the counting into the queue."""
        entry, columns = chain.need_set(), tuple(values[self.columns] or ())
        self._read_again(chain)
        target, labelled = self._target_index(chain), index_of(chain.index)
        if not columns:
            raise ShiftlabError("No attribute is chosen. Choose at least one to count.")
        for column in columns:
            if len({item.labels[labelled.column(column)] for item in labelled.split("train")} - {""}) < 2:
                raise ShiftlabError(f"All training pictures have the same label in {column}, so there is nothing to tell. Leave it out.")
        if not labelled.split("validation"):
            raise ShiftlabError("The probe is chosen on validation pictures, and there are none. Give validation a share under Split.")
        task = SharesTask(
            index=chain.index, target=target, columns=columns, adapted=adapted_of(chain) if values[self.twins] else None,
            settings=self.form.read(values),
        )  # fmt: skip
        self.lab.start(task, f"{', '.join(columns)} in {self._target_name(chain)}, by {entry.name}")

    def rebalance_set(self, values: Values, seen: Seen) -> None:
        """A new set on the shelf, which the next steps work with; one that is there already is opened again."""
        chain = self._chain(seen)
        entry, job = chain.need_set(), self.job(chain)
        if job is None or job.state != "done":
            raise ShiftlabError("The shares are not estimated yet. Do that first, and rebalance when it is done.")
        table, label, how, way = read_shares(Path(job.folder)), chain.choices.column, values[self.how], values[self.way]
        made_of = json.dumps([str(chain.index), table.to_csv(), label, how, way])
        id = "rebalanced-" + hashlib.sha256(made_of.encode()).hexdigest()[:12]
        name = f"{entry.name}, as {self._target_name(chain)}"
        self.shelf.derive(entry.id, id, name, lambda out: rebalanced_by(chain.index, table, label, out, way, how))
        seen.__init__(set=id, step=seen.step, edit=seen.edit)

    # --- what there is ------------------------------------------------------------------------------------------------------------

    def job(self, chain: Chain) -> Any:
        """The counting of these target pictures for this set that runs, else the newest; None where there is none."""
        try:
            asked = str(chain.index), str(self._target_index(chain))
        except ShiftlabError:
            return None
        jobs = (job for job in self.lab.list() if job.kind == SharesTask.kind)
        return foremost(job for job in jobs if (job.settings["index"], job.settings["target"]) == asked)

    def _chain(self, seen: Seen) -> Chain:
        return chain_of(self.lab, self.shelf, seen.set)

    def _target(self, chain: Chain) -> tuple[SetShelf, str]:
        """Where the target pictures stand, and their id there; empty where none are chosen."""
        own = chain.choices.unlabelled
        return (self.targets, own) if own else (self.shelf, chain.choices.target)

    def _target_index(self, chain: Chain) -> Path:
        """Raises ShiftlabError where there are no target pictures, or they are not read yet."""
        shelf, id = self._target(chain)
        if not id:
            raise ShiftlabError("There are no target pictures to count. Choose true ones above, or drop a ZIP of unlabelled ones.")
        return shelf.read_index(id)

    def _target_name(self, chain: Chain) -> str:
        shelf, id = self._target(chain)
        entry = shelf.entry(id)
        return entry.name if entry is not None else id

    def _read_again(self, chain: Chain) -> None:
        """Begins the reading of target pictures anew where the lab ended in it, and says so."""
        entry = self.targets.entry(chain.choices.unlabelled)
        if entry is not None and entry.state == "interrupted":
            self.targets.read_again(entry.id)
            raise ShiftlabError("The target pictures were not read to the end. They are being read now; start when they are there.")

    # --- what it shows ------------------------------------------------------------------------------------------------------------

    def show(self, chain: Chain, seen: Seen) -> Updates:
        """What is not on the page yet."""
        job = self.job(chain)
        updates = {**self.line.show(job, seen), **self._targets(chain, seen), **self._result(chain, job, seen)}
        if job is not None and seen.new("shares open", True):
            updates |= {self.fold: gr.update(open=True)}
        if chain.index is None:
            return updates
        columns, label = index_of(chain.index).columns, chain.choices.column
        if seen.new("shares columns", (columns, label, job and job.id)):
            chosen = job.settings["columns"] if job else [name for name in columns if name != label][:1] or [label]
            updates |= {self.columns: gr.update(choices=list(columns), value=list(chosen))}
        if seen.new("shares twins", (there := adapted_of(chain) is not None)):
            updates |= {self.twins: gr.update(visible=there)}
        return updates

    def _targets(self, chain: Chain, seen: Seen) -> Updates:
        entries, chosen = self.targets.entries(), chain.choices.unlabelled
        entry = next((entry for entry in entries if entry.id == chosen), None)
        if not seen.new("shares targets", (entries, chosen)):
            return {}
        names = [("The true target pictures above", SAME), *((entry.name, entry.id) for entry in entries)]
        told = "" if entry is None else _count_html(len(self.targets.load(entry.id))) if entry.ready else reading_html(entry)
        return {self.target: gr.update(choices=names, value=chosen), self.reading: told, self.again: again_update(entry)}

    def _result(self, chain: Chain, job: Any, seen: Seen) -> Updates:
        done = job is not None and job.state == "done"
        if not seen.new("shares result", (done and job.id, chain.choices.column, adapted_of(chain))):
            return {}
        if not done:
            return {self.card: gr.update(visible=False)}
        try:
            told = self._told(chain, job)
        except (ShiftlabError, OSError) as error:
            told = alert(str(error))
        return {self.card: gr.update(visible=True), self.told: told}

    def _told(self, chain: Chain, job: Any) -> str:
        folder, labelled, task = Path(job.folder), index_of(chain.index), SharesTask(**job.settings)
        held = {name: sum(bool(item.labels[labelled.column(name)]) for item in labelled.split("validation")) for name in task.columns}
        found = Estimated(
            read_shares(folder), read_levels(folder), self._target_name(chain), task.truth(),
            {name: min(count, task.settings.pictures) for name, count in held.items()}, task.adapted is not None,
            adapted_of(chain) is not None,
        )  # fmt: skip
        return estimate_html(found) + plan_html(labelled, shares_of(found.shares, BEST), chain.choices.column)


def adapted_of(chain: Chain) -> Path | None:
    """The folder of the set as it was carried across, by the run that is chosen or else the newest that is done."""
    done = [job for job in (chain.adapt, *chain.adapts) if job is not None and job.state == "done"]
    return Path(done[0].folder) / ADAPTED if done else None


def _count_html(count: int) -> str:
    return f'<p class="help">{count:,} pictures.</p>'

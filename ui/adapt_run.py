"""Step 3 of the Adapt tab: the set carried across by a job, the pairs that came of it, and the label audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from core.adaptation.audit import AUDIT
from core.adaptation.decisions import Decisions, read_decisions
from core.adaptation.jobs import AdaptTask
from core.jobs.sets import SetShelf
from core.types import ShiftlabError
from ui.adapt_audit import AuditPart
from ui.adapt_chain import Chain, Seen, Updates, Values
from ui.adapt_edit import EditStep
from ui.adapt_pairs import IDENTITY, PAGE, SUSPICION, TELL_PAIR, newest_html, pairs_html
from ui.adapt_read import audit_table, manifest_of
from ui.edit_show import alert
from ui.job_line import JobLine, nothing_yet, start_update
from ui.tune_watch import age

NO_RUN = (
    '<div class="blank tall"><b>Nothing is carried across yet.</b> Press Start. The pairs appear here as they are made, and you may close '
    "the page meanwhile.</div>"
)


class RunStep:
    """Components, handlers, and `show` for what changed. edit: step 2, which says what Start starts."""

    def __init__(self, lab: Any, shelf: SetShelf, edit: EditStep) -> None:
        self.lab, self.shelf, self.edit = lab, shelf, edit
        with gr.Row(elem_classes="workbench", visible=False) as self.column_of_step:
            with gr.Column(scale=0, min_width=300, elem_classes="controls"):
                with gr.Column(elem_classes="card run-card"):
                    self.plan = gr.HTML("", elem_id="adapt-plan", elem_classes="plain")
                    self.start_button = gr.Button("Start", variant="primary", elem_id="adapt-start")
                    self.run = gr.Dropdown(
                        [], label="Adaptation", visible=False, interactive=True, allow_custom_value=True,
                        elem_id="adapt-run",
                    )  # fmt: skip
                    self.line = JobLine(lab, "adapt-job")
                self.audit = AuditPart(lab, shelf)
                self.next = gr.Button("Next: the classifier", variant="primary", visible=False, elem_id="adapt-to-classifier")
            with gr.Column(scale=1, min_width=300, elem_classes="stage"), gr.Column(elem_classes="card told-set"):
                with gr.Row(elem_classes="watch-row", visible=False) as self.order_row:
                    self.order = gr.Radio(
                        [IDENTITY, SUSPICION], value=IDENTITY, label="Order", show_label=False, container=False, interactive=True,
                        elem_id="adapt-order",
                    )  # fmt: skip
                self.pairs = gr.HTML(NO_RUN, js_on_load=TELL_PAIR, elem_id="adapt-pairs", elem_classes="plain")
                self.more = gr.Button("More pairs", size="sm", visible=False, elem_id="adapt-more")

    def inputs(self) -> set[Any]:
        return {self.run, self.order, *self.audit.inputs()}

    def outputs(self) -> list[Any]:
        return [
            self.plan, self.start_button, self.run, *self.line.outputs(), *self.audit.outputs(), self.next, self.order_row, self.order,
            self.pairs, self.more,
        ]  # fmt: skip

    # --- handlers -----------------------------------------------------------------------------------------------------------------

    def start(self, values: Values, chain: Chain) -> None:
        """Puts the job into the queue, and shows it."""
        entry = chain.need_set()
        method, settings, keys, seed, batch = self.edit.request(values)
        task = AdaptTask(
            index=chain.index, method=method, settings=settings.model_dump(mode="json"), edits=keys, seed=seed, batch=batch,
            earlier=self._earlier(chain),
        )  # fmt: skip
        named = {entry.key: entry.name for entry in self.lab.edits()}
        how = " + ".join(named.get(key, key) for key in keys) or type(self.lab.methods[method]).__name__
        self.shelf.choose(entry.id, adapt=self.lab.start(task, f"{entry.name} → {how}"))

    def _earlier(self, chain: Chain) -> tuple[Path, ...]:
        """Runs that carried this set across, however it was split: another label or seed of the split asks for no other pictures."""
        runs = (job for job in self.lab.list() if job.kind == "adapt" and Path(job.settings["index"]).parent == chain.index.parent)
        return tuple(Path(job.folder) for job in runs)

    def choose_run(self, values: Values, chain: Chain) -> None:
        if chain.entry is not None and values[self.run]:
            self.shelf.choose(chain.entry.id, adapt=values[self.run])

    def show_more(self, seen: Seen) -> None:
        seen.shown_pairs += PAGE

    # --- what it shows ------------------------------------------------------------------------------------------------------------

    def show(self, chain: Chain, seen: Seen, order: str) -> Updates:
        """What is not on the page yet."""
        job = chain.adapt
        updates = {**self.line.show(job, seen), **self.audit.show(chain, seen), **self._runs(chain, seen)}
        count = f"{len(self.shelf.load(chain.entry.id)):,}" if chain.index is not None and chain.entry else ""
        plan = (chain.entry.name if count and chain.entry else "", count, seen.edit, job is not None)
        if seen.new("plan", plan):
            updates |= {self.plan: plan_html(*plan[:3]), self.start_button: start_update(job)}
        if job is None:
            return {**updates, **({self.pairs: NO_RUN, self.more: gr.update(visible=False)} if seen.new("pairs", None) else {})}
        return {**updates, **self._pairs(chain, seen, order)}

    def _runs(self, chain: Chain, seen: Seen) -> Updates:
        choices = [(f"{job.name} · {age(job.created)}", job.id) for job in chain.adapts]
        if not seen.new("adapts", (choices, chain.adapt and chain.adapt.id)):
            return {}
        return {self.run: gr.update(choices=choices, value=chain.adapt.id if chain.adapt else None, visible=len(choices) > 1)}

    def _pairs(self, chain: Chain, seen: Seen, order: str) -> Updates:
        job, audited = chain.adapt, chain.audit is not None and chain.audit.state == "done"
        if job.state != "done":
            changed = seen.new("pairs", (job.id, job.step, job.live))
            hidden = {self.more: gr.update(visible=False), self.order_row: gr.update(visible=False), self.next: gr.update(visible=False)}
            return {self.pairs: newest_html(chain) or nothing_yet(job, NO_RUN), **hidden} if changed else {}
        seen.shown_pairs = max(seen.shown_pairs, PAGE)
        folder = Path(chain.audit.folder) if audited else None
        decided = read_decisions(folder) if folder else Decisions()
        order = order if audited else IDENTITY
        if not seen.new("pairs", (job.id, chain.choices.column, folder, decided, order, seen.shown_pairs)):
            return {}
        try:
            table = audit_table(folder / AUDIT) if folder else None
            shown = pairs_html(chain, order, seen.shown_pairs, table, decided)
            many = len(manifest_of(chain.adapted)) > seen.shown_pairs
        except (ShiftlabError, OSError) as error:
            shown, many = alert(f"The pairs cannot be shown: {error}"), False
        visible = {self.order_row: gr.update(visible=audited), self.more: gr.update(visible=many), self.next: gr.update(visible=True)}
        return {self.pairs: shown, **visible}


def plan_html(name: str, count: str, edit: str) -> str:
    """What Start would do."""
    if not count:
        return '<p class="help">Choose a set in step 1 first.</p>'
    if not edit:
        return '<p class="help">Choose an edit in step 2 first.</p>'
    return f'<p class="help">{count} pictures of “{name}” through “{edit}”. What is made already is never made twice.</p>'

"""The Runs tab: everything that ever ran; filter, look, compare, resume, export, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from core.jobs.export import export_run
from core.types import ShiftlabError
from ui.edit_show import alert
from ui.events import QUIET, timer_of, while_busy
from ui.plots import loss_figure
from ui.runs_show import ALL, NO_MATCH, NO_RUNS, STATE_CHOICES, compare_html, list_html, matching, run_html
from ui.state import Shared, ToEdit
from ui.told import Told, Updates, Values
from ui.tune_watch import age
from ui.tuned_base import makes_base, use_as_base

POLL_SECONDS = 2.0
# The list is one piece of HTML; a click anywhere in it tells which run it hit.
TELL_RUN = """
element.addEventListener('click', event => {
  const run = event.target.closest('[data-id]');
  if (run) trigger('click', {id: run.dataset.id});
});
"""


@dataclass
class Looking(Told):
    """Which run one page's Runs tab shows, and what that page was told. Changed in place."""

    id: str = ""
    asked: str = ""  # the run whose deletion is to be confirmed


def build(lab: Any, shared: Shared) -> None:
    """Builds the tab inside the open `gr.Tab`."""
    RunsTab(lab, shared).wire()


class RunsTab:
    """The tab's components, the handlers, and the wiring."""

    def __init__(self, lab: Any, shared: Shared) -> None:
        self.lab, self.shared = lab, shared
        self.looking = gr.State(Looking())
        self.timer = timer_of(shared, "runs", POLL_SECONDS)
        with gr.Row(elem_classes="workbench runs-bench"):
            with gr.Column(scale=0, min_width=300, elem_classes="controls"):
                self._build_list()
            with gr.Column(scale=1, min_width=300, elem_classes="stage"):
                self._build_detail()

    def _build_list(self) -> None:
        with gr.Row(elem_classes="filter-row"):
            self.words = gr.Textbox(
                "", label="Find", show_label=False, container=False, placeholder="Find a run …", max_lines=1,
                interactive=True, elem_id="runs-find", min_width=150, scale=3,
            )  # fmt: skip
            self.state = gr.Dropdown(
                STATE_CHOICES, value=ALL, label="State", show_label=False, container=False, interactive=True, filterable=False,
                elem_id="runs-state", min_width=120, scale=2,
            )  # fmt: skip
        self.list = gr.HTML(NO_RUNS, js_on_load=TELL_RUN, elem_id="runs-list")

    def _build_detail(self) -> None:
        self.message = gr.HTML("", elem_id="runs-message")
        with gr.Column(elem_classes="card watch", visible=False) as self.card:
            with gr.Row(elem_classes="watch-row"):
                self.against = gr.Dropdown(
                    [], value=None, label="Compare with", show_label=False, container=False, interactive=True, elem_id="runs-compare",
                    min_width=200,
                )  # fmt: skip
                self.cancel = gr.Button("Cancel", size="sm", visible=False, min_width=80, scale=0, elem_id="runs-cancel")
                self.resume = gr.Button("Resume", size="sm", variant="primary", visible=False, min_width=90, scale=0, elem_id="runs-resume")
                self.try_it = gr.Button("Try it", size="sm", variant="primary", visible=False, min_width=80, scale=0, elem_id="runs-try")
                self.as_base = gr.Button("Use as base", size="sm", visible=False, min_width=110, scale=0, elem_id="runs-as-base")
                self.export = gr.DownloadButton("Export", size="sm", min_width=80, scale=0, elem_id="runs-export")
                self.delete = gr.Button("Delete", size="sm", min_width=80, scale=0, elem_id="runs-delete")
            with gr.Row(elem_classes="confirm", visible=False) as self.confirm:
                gr.HTML('<p class="alert">Delete this run with its edit, samples and settings? This cannot be undone.</p>')
                self.sure = gr.Button("Delete for good", size="sm", variant="stop", min_width=120, scale=0, elem_id="runs-sure")
                self.keep = gr.Button("Keep it", size="sm", min_width=80, scale=0, elem_id="runs-keep")
            self.detail = gr.HTML("", elem_id="runs-detail")
        with gr.Column(elem_classes="card curves", visible=False) as self.curves:
            gr.HTML('<h2 class="heading">Loss</h2>')
            self.plot = gr.Plot(show_label=False, container=False, elem_id="runs-plot")

    # --- looking ------------------------------------------------------------------------------------------------------------------

    def refresh(self, values: Values) -> Updates:
        """What is not on the page yet: when the tab is opened, every few seconds, and after everything that changes a run."""
        looking: Looking = values[self.looking]
        jobs = self.lab.list()
        found = matching(jobs, values[self.words] or "", values[self.state])
        if looking.id not in {job.id for job in jobs}:
            looking.id = found[0].id if found else ""
        asking = looking.asked != "" and looking.asked == looking.id
        updates: Updates = {self.confirm: gr.update(visible=asking)} if looking.new("confirm", asking) else {}
        listed = [(job.id, job.state, job.step if job.live else 0, job.id == looking.id) for job in found], bool(jobs)
        if looking.new("list", listed):
            updates[self.list] = list_html(self.lab, found, looking.id) if found else NO_MATCH if jobs else NO_RUNS
        return {**updates, **self._detail(looking, jobs, values[self.against])} or {self.message: gr.skip()}

    def choose(self, values: Values, event: gr.EventData) -> Updates:
        """A click on the list."""
        looking: Looking = values[self.looking]
        looking.id, looking.asked = str(event._data.get("id", "")), ""
        return {self.message: "", self.against: None, **self.refresh({**values, self.against: None})}

    def _detail(self, looking: Looking, jobs: list[Any], against: str | None) -> Updates:
        job = next((job for job in jobs if job.id == looking.id), None)
        other = next((entry for entry in jobs if entry.id == against and entry is not job), None)
        shown = job and (job.id, job.state, job.step, job.message, other and (other.id, other.state, other.step), len(jobs))
        if not looking.new("run", shown):
            return {}
        if job is None:
            return {self.card: gr.update(visible=False), self.curves: gr.update(visible=False)}
        choices = [("Compare with …", ""), *((f"{entry.name} · {age(entry.created)}", entry.id) for entry in jobs if entry is not job)]
        return {
            self.card: gr.update(visible=True),
            self.against: gr.update(choices=choices, value=other.id if other else "", visible=len(jobs) > 1),
            self.cancel: gr.update(visible=job.state in ("queued", "running") and other is None),
            self.resume: gr.update(visible=job.resumable and other is None),
            self.try_it: gr.update(visible=job.kind == "tune" and job.state == "done" and other is None),
            self.as_base: gr.update(visible=makes_base(job) and other is None),
            self.export: gr.update(value=str(self._zip(job)), visible=not job.live) if not job.live else gr.update(visible=False),
            self.delete: gr.update(visible=not job.live),
            self.detail: compare_html(self.lab, job, other) if other else run_html(self.lab, job),
            **self._curves(job, other),
        }

    def _curves(self, job: Any, other: Any | None) -> Updates:
        beside = (other.name, self.lab.events(other.id)) if other else None
        figure = loss_figure(self.lab.events(job.id), job.name if beside else job.id, beside)
        if not figure.data:  # nothing of this was training
            return {self.curves: gr.update(visible=False)}
        return {self.curves: gr.update(visible=True), self.plot: figure}

    def _zip(self, job: Any) -> Path:
        """Where Gradio serves files from."""
        return export_run(job, Path(self.export.GRADIO_CACHE) / "exports" / f"shiftlab-{job.id}.zip")

    # --- doing --------------------------------------------------------------------------------------------------------------------

    def ask_to_delete(self, values: Values) -> Updates:
        values[self.looking].asked = values[self.looking].id
        return self.refresh(values)

    def keep_it(self, values: Values) -> Updates:
        values[self.looking].asked = ""
        return self.refresh(values)

    def delete_it(self, values: Values) -> Updates:
        """The run that was asked about: another window may have deleted it meanwhile, and another one be shown."""
        return self._asked(values, self.lab.delete, values[self.looking].asked)

    def cancel_it(self, values: Values) -> Updates:
        return self._asked(values, self.lab.cancel, values[self.looking].id)

    def resume_it(self, values: Values) -> Updates:
        return self._asked(values, self.lab.resume, values[self.looking].id)

    def _asked(self, values: Values, what: Callable[[str], None], id: str) -> Updates:
        """Asks the lab, and says why where it cannot be."""
        said, values[self.looking].asked = "", ""
        try:
            what(id)
        except ShiftlabError as error:
            said = alert(str(error))
        return {**self.refresh(values), self.message: said}

    def open_in_edit(self, values: Values) -> Updates:
        key = f"run/{values[self.looking].id}"
        return {self.shared.to_edit: ToEdit(key), self.shared.tabs: gr.Tabs(selected="edit")}

    def use_as_base(self, values: Values) -> Updates:
        return {self.message: use_as_base(self.lab, values[self.looking].id)}

    # --- wiring -------------------------------------------------------------------------------------------------------------------

    def wire(self) -> None:
        """Every event of the tab."""
        for event in (self.shared.tab["runs"].select, self.words.input, self.state.input, self.against.input):
            self._on(event, self.refresh)
        self._on(self.list.click, self.choose, trigger_mode="multiple")
        self._on(self.delete.click, self.ask_to_delete)
        self._on(self.keep.click, self.keep_it)
        self._on(self.sure.click, self.delete_it)
        self._on(self.cancel.click, self.cancel_it)
        self._on(self.resume.click, self.resume_it)
        self._on(self.as_base.click, self.use_as_base)
        self._on(self.try_it.click, self.open_in_edit)
        self._on(self.timer.tick, self.refresh, queue=False)

    def _on(self, event: Callable[..., Any], handler: Callable[..., Updates], **options: Any) -> Any:
        inputs = {self.looking, self.words, self.state, self.against}
        outputs = [self.list, self.message, self.card, self.against, self.cancel, self.resume, self.try_it, self.as_base, self.export]
        outputs += [self.delete, self.confirm, self.detail, self.curves, self.plot, self.shared.to_edit, self.shared.tabs]
        return event(handler, inputs, outputs, **QUIET, **while_busy(event) | options)

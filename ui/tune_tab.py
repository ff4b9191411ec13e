"""The Tune tab: start a fine-tuning and watch it. Training never happens here; the page only reads the job's row and folder.

So whatever happens to the page (a reload, a closed tab, another device) the training goes on, and any page that opens shows it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from core.types import ShiftlabError
from ui.edit_show import alert
from ui.events import QUIET, timer_of, while_busy
from ui.methods import about
from ui.plots import loss_figure
from ui.state import Shared, ToEdit
from ui.tune_choose import TuneChooser
from ui.tune_curve import METHOD as CURVE_METHOD
from ui.tune_curve import CurveEvents
from ui.tune_layout import build_layout
from ui.tune_request import estimate_html
from ui.tune_watch import age, log_tail, progress_html, samples_html
from ui.tuned_base import makes_base, use_as_base

POLL_SECONDS = 1.0
PLOT_SECONDS = 2.0  # between two figures of a running job
RUNS_OFFERED = 30
Values = Mapping[Any, Any]
Updates = dict[Any, Any]


@dataclass
class Seen:
    """What one page shows, so that only what changed is sent again. Changed in place."""

    id: str = ""
    told: str = ""  # of its progress, by the last answer that spoke of it
    choices: Any = None
    numbers: int = -1
    plotted: float = 0.0
    strip: Any = None


def build(lab: Any, shared: Shared) -> None:
    """Builds the tab inside the open `gr.Tab`."""
    TuneTab(lab, shared).wire()


class TuneTab:
    """The tab's parts, the handlers, and the wiring."""

    def __init__(self, lab: Any, shared: Shared) -> None:
        self.lab, self.shared = lab, shared
        self.controls, self.watch, curve = build_layout(lab)
        form = self.controls.forms.get(CURVE_METHOD)
        self.curve = CurveEvents(lab, curve, form) if form else None
        self.chooser = TuneChooser(lab, shared, self.controls)
        self.seen = gr.State(Seen())
        self.timer = timer_of(shared, "tune", POLL_SECONDS)

    # --- the left column ----------------------------------------------------------------------------------------------------------

    def start(self, values: Values) -> Updates:
        """Puts the job into the queue and watches it."""
        try:
            id = self.chooser.submit(values)
        except ShiftlabError as error:
            return {self.controls.message: alert(str(error))}
        return {self.controls.message: "", **self.show(values, id)}

    def estimate(self, values: Values) -> Updates:
        """Time and memory of what stands in the form; nothing where it cannot be read, for Start will say why."""
        c, method = self.controls, values[self.controls.method]
        try:
            return {c.estimate: estimate_html(self.lab, method, c.forms[method].read(values), self.chooser.pictures(values))}
        except ShiftlabError:
            return {c.estimate: ""}

    # --- the right column ---------------------------------------------------------------------------------------------------------

    def opened(self, values: Values) -> Updates:
        """The tab is shown: at first with the run of the moment, then as it was left."""
        return self.loaded(values) if values[self.seen].choices is None else self.tick(values)

    def loaded(self, values: Values) -> Updates:
        """The run that is under way, else the newest."""
        jobs = self.trainings()
        job = next((job for job in jobs if job.live and job.state != "queued"), jobs[0] if jobs else None)
        return self.show(values, job.id if job else "") | self.chooser.new_sets(values)

    def trainings(self) -> list[Any]:
        """The jobs that train an edit, the newest first; the others have tabs of their own."""
        return [job for job in self.lab.list() if job.kind == "tune"]

    def choose_run(self, values: Values) -> Updates:
        return self.show(values, values[self.watch.run] or "")

    def show(self, values: Values, id: str) -> Updates:
        """Everything about another run."""
        values[self.seen].__init__(id=id)
        return self.poll(values)

    def tick(self, values: Values) -> Updates:
        """Every second: what changed since the last look."""
        return self.poll(values) or {self.watch.progress: gr.skip()}

    def poll(self, values: Values) -> Updates:
        """Updates for what is not on the page yet; empty when nothing changed.

        A tick's answer and a button's go different ways, and the older one may come last. So the page says what it shows: where that is
        not what was told last, all is told again.
        """
        seen: Seen = values[self.seen]
        if values[self.watch.progress] != seen.told:
            seen.__init__(id=seen.id)
        jobs = self.trainings()
        job = next((job for job in jobs if job.id == seen.id), None)
        updates = self._choices(seen, jobs, job)
        told = progress_html(job)
        if told != seen.told:
            seen.told = told
            updates |= {self.watch.progress: told, **self._buttons(job)}
            updates |= {self.watch.log: log_tail(job), self.watch.log_fold: gr.update(visible=job is not None)}
            updates |= self._pictures(seen, job)
        elif job is not None and seen.plotted and job.live:
            updates |= self._pictures(seen, job)
        return updates

    def _choices(self, seen: Seen, jobs: list[Any], job: Any | None) -> Updates:
        choices = [(f"{entry.name} · {age(entry.created)}", entry.id) for entry in jobs[:RUNS_OFFERED]]
        if (choices, seen.id) == seen.choices:
            return {}
        seen.choices = (choices, seen.id)
        return {self.watch.run: gr.update(choices=choices, value=job.id if job else None, visible=bool(choices))}

    def _buttons(self, job: Any | None) -> Updates:
        w, state = self.watch, job.state if job else ""
        return {
            w.cancel: gr.update(visible=state in ("queued", "running")),
            w.save: gr.update(visible=state == "running"),
            w.resume: gr.update(visible=bool(job and job.resumable)),
            w.try_it: gr.update(visible=state == "done"),
            w.as_base: gr.update(visible=makes_base(job)),
        }

    def _pictures(self, seen: Seen, job: Any | None) -> Updates:
        """Curves and samples where there are newer ones; a running job's curves are not drawn more often than every PLOT_SECONDS."""
        w = self.watch
        if job is None:
            seen.numbers = 0
            return {w.curves: gr.update(visible=False), w.samples: ""}
        updates: Updates = {}
        if not job.live or time.monotonic() - seen.plotted >= PLOT_SECONDS:
            rows = self.lab.events(job.id)
            if len(rows) != seen.numbers:
                seen.numbers, seen.plotted = len(rows), time.monotonic()
                updates |= {w.curves: gr.update(visible=len(rows) > 0)}
                updates |= {w.plot: loss_figure(rows, job.id)} if rows else {}
        strip = self.lab.sample_strip(job.id)
        told = (len(strip), strip[-1][0] if strip else 0)
        if told != seen.strip:
            seen.strip = told
            updates |= {w.samples: samples_html(strip, free=about(job.method).learns == "target")}
        return updates

    def asked(self, what: Callable[[str], None]) -> Callable[[Values], Updates]:
        """A handler that asks the lab for something about the run shown, and says why where it cannot be."""

        def handler(values: Values) -> Updates:
            seen = values[self.seen]
            try:
                what(seen.id)
            except ShiftlabError as error:
                return {self.controls.message: alert(str(error)), **self.poll(values)}
            return {self.controls.message: "", **self.poll(values)}

        return handler

    def try_it(self, values: Values) -> Updates:
        """Opens Edit with the edit that came of this run."""
        key = f"run/{values[self.seen].id}"
        return {self.shared.to_edit: ToEdit(key), self.shared.tabs: gr.Tabs(selected="edit")}

    def as_base(self, values: Values) -> Updates:
        """Loads what this run made of the base: from then on every method works on it."""
        return {self.controls.message: use_as_base(self.lab, values[self.seen].id)}

    # --- wiring -------------------------------------------------------------------------------------------------------------------

    def wire(self) -> None:
        """Every event of the tab."""
        c, w, shared = self.controls, self.watch, self.shared
        if self.curve is not None:
            self.curve.wire()
        self._then_estimate(self._on(shared.tab["tune"].select, self.opened))
        self._on(c.start.click, self.start, concurrency_limit=1)
        self._then_estimate(self._on(c.preset.input, self.chooser.choose_preset, {c.preset}))
        self._then_estimate(self._on(c.method.input, self.chooser.choose_method))
        self._then_estimate(self._on(shared.to_tune.change, self.chooser.handed))
        for state in (shared.source, shared.target):
            self._on(state.change, self.chooser.new_sets)
        parts = [part for form in c.forms.values() for part in form.outputs()]
        self._estimate(lambda *fn, **options: gr.on([part.change for part in [*parts, c.images, c.targets]], *fn, **options))
        self._on(w.run.input, self.choose_run, queue=False)
        self._on(w.cancel.click, self.asked(self.lab.cancel))
        self._on(w.save.click, self.asked(self.lab.save_now))
        self._on(w.resume.click, self.asked(self.lab.resume))
        self._on(w.as_base.click, self.as_base)
        self._on(w.try_it.click, self.try_it)
        self.timer.tick(self.tick, {self.seen, self.watch.progress}, self.watch.outputs(), queue=False, **QUIET)

    def _inputs(self) -> set[Any]:
        shared = self.shared
        return {self.seen, self.watch.run, self.watch.progress, shared.source, shared.target, shared.to_tune, *self.controls.inputs()}

    def _outputs(self) -> list[Any]:
        c, shared = self.controls, self.shared
        plain = [c.method, c.line, c.preset, c.provenance, c.name, c.images, c.targets, c.message]
        forms = [part for form in c.forms.values() for part in form.outputs()]
        columns = [column for pair in c.columns.values() for column in pair]
        return [*plain, *forms, *columns, *self.watch.outputs(), shared.to_edit, shared.tabs]

    def _on(self, event: Callable[..., Any], handler: Callable[..., Updates], more: set[Any] = frozenset(), **options: Any) -> Any:
        return event(handler, self._inputs() | more, self._outputs(), **QUIET, **while_busy(event) | options)

    def _estimate(self, event: Callable[..., Any], mode: str = "always_last") -> Any:
        return event(self.estimate, self._inputs(), self.controls.estimate, trigger_mode=mode, **QUIET)

    def _then_estimate(self, event: Any) -> Any:
        return self._estimate(event.then, mode="multiple")

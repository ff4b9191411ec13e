"""The Adapt tab: one page from a labelled set to a report, in steps from left to right. Everything long happens in jobs; the page only
reads their rows and folders, so any step can be left, come back to, and run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gradio as gr

from core.jobs.sets import shelf_of
from core.types import ShiftlabError
from ui.adapt_chain import Chain, Seen, Updates, chain_of
from ui.adapt_compare import CompareStep
from ui.adapt_edit import EditStep
from ui.adapt_pairs import IDENTITY
from ui.adapt_rail import TITLES, stages
from ui.adapt_report import ReportStep
from ui.adapt_run import RunStep
from ui.adapt_set import SetStep
from ui.edit_show import alert
from ui.events import QUIET, timer_of, while_busy
from ui.job_line import JobLine
from ui.rail import TELL_STEP, rail_html
from ui.state import Shared

POLL_SECONDS = 1.0
Values = Mapping[Any, Any]


def build(lab: Any, shared: Shared) -> None:
    """Builds the tab inside the open `gr.Tab`."""
    AdaptTab(lab, shared).wire()


class AdaptTab:
    """The rail, the steps, and the wiring."""

    def __init__(self, lab: Any, shared: Shared) -> None:
        self.lab, self.shared = lab, shared
        self.shelf = shelf_of(lab.home / "sets")
        self.seen = gr.State(Seen())
        self.timer = timer_of(shared, "adapt", POLL_SECONDS)
        self.rail = gr.HTML(rail_html(stages(Chain(), ""), "set", TITLES), js_on_load=TELL_STEP, elem_id="adapt-rail", elem_classes="plain")
        self.message = gr.HTML("", elem_id="adapt-message")
        self.set, self.edit = SetStep(lab, self.shelf), EditStep(lab)
        self.run, self.compare, self.report = RunStep(lab, self.shelf, self.edit), CompareStep(lab, self.shelf), ReportStep()
        self.steps = dict(zip(TITLES, (self.set, self.edit, self.run, self.compare, self.report), strict=True))

    # --- looking ------------------------------------------------------------------------------------------------------------------

    def chain(self, seen: Seen) -> Chain:
        return chain_of(self.lab, self.shelf, seen.set)

    def poll(self, seen: Seen, values: Values) -> Updates:
        """Updates for what is not on the page yet: of the rail, and of the step that is open."""
        chain = self.chain(seen)
        updates = self._shown(seen, chain, values)
        if chain.adapt is not None and not seen.edit:
            updates |= self.edit.show(chain, seen)  # the rail names the edit of a run that another page has started
        return {**updates, **self._rail(seen, chain)}

    def _rail(self, seen: Seen, chain: Chain) -> Updates:
        told = rail_html(stages(chain, seen.edit), seen.step, TITLES)
        return {self.rail: told} if seen.new("rail", told) else {}

    def _shown(self, seen: Seen, chain: Chain, values: Values) -> Updates:
        if seen.step == "adapt":
            return self.run.show(chain, seen, values.get(self.run.order) or IDENTITY)
        if seen.step == "classifier":
            return self.compare.show(chain, seen, values.get(self.compare.metric) or "accuracy")
        return self.steps[seen.step].show(chain, seen)

    def tick(self, values: Values) -> Updates:
        """Every second: what jobs and sets have changed. That is nothing of the edit's form, which is large and stays out of it."""
        seen: Seen = values[self.seen]
        for line in self._lines():
            line.read(values, seen)
        chain = self.chain(seen)
        updates = {} if seen.step == "edit" else self._shown(seen, chain, values)
        return {**updates, **self._rail(seen, chain)} or {self.message: gr.skip()}

    def look(self, values: Values) -> Updates:
        """Something about how it is shown was changed."""
        return self.poll(values[self.seen], values) or {self.message: gr.skip()}

    def opened(self, values: Values) -> Updates:
        """The tab is shown: with a set that the Data tab hands over, or as it was left."""
        seen, given = values[self.seen], values[self.shared.to_adapt]
        if given:
            seen.__init__(set=given, edit=seen.edit)
            return {self.shared.to_adapt: None, **self._to("set", values)}
        return self.look(values) if seen.told else self.loaded(values)

    def loaded(self, values: Values) -> Updates:
        """At first: the set that was worked with last, at the step where something happens."""
        seen: Seen = values[self.seen]
        seen.__init__(set=self.shelf.latest())
        chain = self.chain(seen)
        live = {"adapt": chain.adapt or chain.audit, "classifier": chain.classify}
        seen.step = next((step for step, job in live.items() if job is not None and job.live), "set")
        restored = self.edit.show(chain, seen) or self.edit.refresh(values, seen)
        return {**restored, **self._opened(seen, values)}

    def _opened(self, seen: Seen, values: Values) -> Updates:
        shown = {step.column_of_step: gr.update(visible=key == seen.step) for key, step in self.steps.items()}
        return {**shown, **self.poll(seen, values)}

    # --- doing --------------------------------------------------------------------------------------------------------------------

    def doing(self, what: Callable[..., Updates | None]) -> Callable[[Values], Updates]:
        """A handler that does something for (values, seen), says why where it cannot be done, and shows what came of it."""

        def handler(values: Values) -> Updates:
            seen: Seen = values[self.seen]
            try:
                changed, said = what(values, seen) or {}, ""
            except ShiftlabError as error:
                changed, said = {}, alert(str(error))
            return {self.message: said, **changed, **self.poll(seen, values)}

        return handler

    def with_chain(self, what: Callable[[Values, Chain], None]) -> Callable[[Values], Updates]:
        """The same for (values, chain)."""
        return self.doing(lambda values, seen: what(values, self.chain(seen)))

    def opens(self, step: str) -> Callable[[Values], Updates]:
        def handler(values: Values) -> Updates:
            return self._to(step, values)

        return handler

    def _to(self, step: str, values: Values) -> Updates:
        seen: Seen = values[self.seen]
        seen.step = step if step in self.steps else seen.step
        fresh = self.edit.refresh(values, seen) if seen.step == "edit" else {}
        return {self.message: "", **fresh, **self._opened(seen, values)}

    def to_step(self, values: Values, event: gr.EventData) -> Updates:
        """A click on the rail."""
        return self._to(str(event._data.get("step", "")), values)

    def turn(self, values: Values, event: gr.EventData) -> Updates:
        """A click on a pair."""
        name = str(event._data.get("name", ""))
        return self.doing(lambda values, seen: self.run.audit.turn(name, self.chain(seen)))(values)

    def try_on(self, values: Values) -> Iterator[Updates]:
        """A first look at the edit."""
        try:
            for updates in self.edit.try_on(values, self.chain(values[self.seen])):
                yield {self.message: "", **updates}
        except ShiftlabError as error:
            yield {self.message: alert(str(error))}

    # --- wiring -------------------------------------------------------------------------------------------------------------------

    def wire(self) -> None:
        """Every event of the tab."""
        self._on(self.shared.tab["adapt"].select, self.opened)
        self._on(self.rail.click, self.to_step)
        self._wire_set()
        self._wire_edit()
        self._wire_run()
        self._on(self.compare.start_button.click, self.with_chain(self.compare.start), self.compare.inputs(), concurrency_limit=1)
        self._on(self.compare.metric.input, self.look)
        self._jobs(self.compare.line)
        self._on(self.compare.next.click, self.opens("report"))
        polled = [self.rail, self.message, *(part for key, step in self.steps.items() if key != "edit" for part in step.outputs())]
        asked = {self.seen, self.run.order, self.compare.metric, *(line.html for line in self._lines())}
        self.timer.tick(self.tick, asked, polled, queue=False, **QUIET)

    def _wire_set(self) -> None:
        s = self.set
        handlers = (
            (s.pick.input, s.choose), (s.drop.upload, s.upload), (s.draw.click, s.draw_portraits), (s.again.click, s.read_again),
            (s.target_again.click, s.read_target_again),
            (s.label.input, s.choose_column), (s.target.input, s.choose_target), (s.target_drop.upload, s.upload_target),
            (s.validation.release, s.choose_split), (s.test.release, s.choose_split), (s.split_seed.submit, s.choose_split),
        )  # fmt: skip
        for event, handler in handlers:
            self._on(event, self.doing(handler), s.inputs() - s.shares.inputs())
        self._on(s.shares.target.input, self.doing(s.shares.choose_target), {s.shares.target})
        self._on(s.shares.drop.upload, self.doing(s.shares.upload), {s.shares.drop})
        self._on(s.shares.again.click, self.doing(s.shares.read_again))
        self._on(s.shares.estimate.click, self.with_chain(s.shares.start), s.shares.inputs(), concurrency_limit=1)
        self._on(s.shares.rebalance.click, self.doing(s.shares.rebalance_set), {s.shares.how, s.shares.way})
        self._jobs(s.shares.line)
        self._on(s.next.click, self.opens("edit"))

    def _wire_edit(self) -> None:
        self._on(self.edit.method.input, self.doing(self.edit.choose_method))
        self._on(self.edit.edit.input, self.doing(self.edit.choose_edit))
        self._on(self.edit.try_it.click, self.try_on, self.edit.inputs(), concurrency_limit=1)
        self._on(self.edit.next.click, self.opens("adapt"))

    def _wire_run(self) -> None:
        r, audit = self.run, self.run.audit
        self._on(r.start_button.click, self.with_chain(r.start), self.edit.inputs(), concurrency_limit=1)
        self._on(r.run.input, self.with_chain(r.choose_run), {r.run})
        self._on(r.order.input, self.look)
        self._on(r.more.click, self.doing(lambda values, seen: r.show_more(seen)))
        self._on(r.pairs.click, self.turn)
        self._jobs(r.line)
        self._on(audit.ask.click, self.with_chain(audit.start), {audit.prompts}, concurrency_limit=1)
        self._jobs(audit.line)
        for part in audit.form.outputs():
            self._on(part.release, self.with_chain(audit.move), audit.form.inputs())
        self._on(r.next.click, self.opens("classifier"))

    def _lines(self) -> list[JobLine]:
        return [self.set.shares.line, self.run.line, self.run.audit.line, self.compare.line]

    def _jobs(self, line: JobLine) -> None:
        """Cancel and Resume of a step's job."""
        for button, what in ((line.cancel, self.lab.cancel), (line.resume, self.lab.resume)):
            self._on(button.click, self.doing(line.asks(what)))

    def _inputs(self) -> set[Any]:
        """What every handler looks at. Few, for each of them is dear to the browser, long after its event."""
        return {self.seen, self.shared.to_adapt, self.edit.method, self.edit.edit, self.run.order, self.compare.metric}

    def _outputs(self) -> list[Any]:
        steps = [part for step in self.steps.values() for part in (step.column_of_step, *step.outputs())]
        return [self.rail, self.message, self.shared.to_adapt, *steps]

    def _on(self, event: Callable[..., Any], handler: Callable[..., Any], more: set[Any] = frozenset(), **options: Any) -> Any:
        """more: what the handler reads besides."""
        return event(handler, self._inputs() | more, self._outputs(), **QUIET, **while_busy(event) | options)

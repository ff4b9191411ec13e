"""The One-shot tab: one picture of the target is learned, drawn over a list of classes, and adapted to by a segmenter, step by step.
Everything long happens in jobs; the page only reads their rows and folders, and each step can be used alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from core.jobs.oneshot import OneShotShelf
from core.jobs.scenes import scenes_of_home
from core.types import ShiftlabError
from ui.edit_show import alert
from ui.events import QUIET, timer_of, while_busy
from ui.job_line import JobLine
from ui.oneshot_chain import Chain, Seen, Shelves, Updates, Values, chain_of
from ui.oneshot_generate import GenerateStep
from ui.oneshot_image import ImageStep
from ui.oneshot_personalise import PersonaliseStep
from ui.oneshot_rail import TITLES, stages
from ui.oneshot_segment import SegmentStep
from ui.rail import TELL_STEP, rail_html
from ui.state import Shared

POLL_SECONDS = 1.0


def build(lab: Any, shared: Shared) -> None:
    """Builds the tab inside the open `gr.Tab`."""
    OneShotTab(lab, shared).wire()


class OneShotTab:
    """The rail, the steps, and the wiring."""

    def __init__(self, lab: Any, shared: Shared) -> None:
        self.lab, self.shared = lab, shared
        self.shelves = Shelves(OneShotShelf(lab.home / "oneshot"), scenes_of_home(lab.home))
        self.seen = gr.State(Seen())
        self.timer = timer_of(shared, "oneshot", POLL_SECONDS)
        rail = rail_html(stages(Chain()), "image", TITLES)
        self.rail = gr.HTML(rail, js_on_load=TELL_STEP, elem_id="oneshot-rail", elem_classes="plain four")
        self.message = gr.HTML("", elem_id="oneshot-message", elem_classes="message-line")
        self.image, self.personalise = ImageStep(shared, self.shelves), PersonaliseStep(lab, self.shelves)
        self.generate, self.segment = GenerateStep(lab, self.shelves), SegmentStep(lab, self.shelves)
        self.steps = dict(zip(TITLES, (self.image, self.personalise, self.generate, self.segment), strict=True))

    # --- looking ------------------------------------------------------------------------------------------------------------------

    def chain(self) -> Chain:
        return chain_of(self.lab, self.shelves)

    def poll(self, seen: Seen, values: Values) -> Updates:
        """Updates for what is not on the page yet: of the rail, and of the step that is open."""
        chain = self.chain()
        updates = self.steps[seen.step].show(chain, seen, values)
        told = rail_html(stages(chain), seen.step, TITLES)
        return {**updates, **({self.rail: told} if seen.new("rail", told) else {})}

    def tick(self, values: Values) -> Updates:
        for line in self._lines():
            line.read(values, values[self.seen])
        return self.poll(values[self.seen], values) or {self.message: gr.skip()}

    def opened(self, values: Values) -> Updates:
        """The tab is shown: at first where something happens, then as it was left."""
        return self.tick(values) if values[self.seen].told else self.loaded(values)

    def loaded(self, values: Values) -> Updates:
        """The step where something happens, else the first."""
        seen: Seen = values[self.seen]
        seen.__init__()
        chain = self.chain()
        live = {"personalise": chain.personalise, "generate": chain.generate, "segment": chain.segment}
        seen.step = next((step for step, job in live.items() if job is not None and job.live), "image")
        return self._opened(seen, values)

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
        return self.doing(lambda values, seen: what(values, self.chain()))

    def opens(self, step: str) -> Callable[[Values], Updates]:
        return lambda values: self._to(step, values)

    def _to(self, step: str, values: Values) -> Updates:
        seen: Seen = values[self.seen]
        seen.step = step if step in self.steps else seen.step
        return {self.message: "", **self._opened(seen, values)}

    def to_step(self, values: Values, event: gr.EventData) -> Updates:
        """A click on the rail."""
        return self._to(str(event._data.get("step", "")), values)

    def to_example(self, values: Values, event: gr.EventData) -> Updates:
        """A click on an example."""
        name = str(event._data.get("example", ""))
        return self.doing(lambda values, seen: self.image.take_example(name))(values)

    # --- wiring -------------------------------------------------------------------------------------------------------------------

    def wire(self) -> None:
        """Every event of the tab."""
        self._on(self.shared.tab["oneshot"].select, self.opened)
        self._on(self.rail.click, self.to_step)
        self._wire_image()
        self._wire_personalise()
        self._wire_generate()
        self._wire_segment()
        asked = {*self._inputs(), *(line.html for line in self._lines())}
        self.timer.tick(self.tick, asked, self._outputs(), queue=False, **QUIET)

    def _wire_image(self) -> None:
        s = self.image
        self._on(s.drop.upload, self.doing(s.upload), {s.drop})
        self._on(s.examples.click, self.to_example)
        self._on(s.from_data.click, self.doing(s.take_from_data))
        self._on(s.next.click, self.opens("personalise"))

    def _wire_personalise(self) -> None:
        s = self.personalise
        self._on(s.preset.input, self.doing(s.choose_preset), {s.preset})
        token = s.form.components["token"]
        self._on(token.change, self.doing(s.check_token), {token}, trigger_mode="always_last")
        self._on(s.start_button.click, self.with_chain(s.start), s.inputs(), concurrency_limit=1)
        self._on(s.run.input, self.with_chain(s.choose_run), {s.run})
        self._on(s.picker.part.input, self.doing(s.picker.choose), {s.picker.part})
        self._on(s.save.click, self.doing(s.line.asks(self.lab.save_now)))
        self._jobs(s.line)
        self._on(s.next.click, self.opens("generate"))

    def _wire_generate(self) -> None:
        s = self.generate
        self._on(s.picker.part.input, self.doing(s.picker.choose), {s.picker.part})
        self._on(s.classes.input, self.doing(s.choose_classes), {s.classes, s.each})
        self._on(s.each.input, self.doing(s.choose_each), {s.each, s.table})
        self._on(s.table.input, self.doing(s.count), {s.table})
        self._on(s.start_button.click, self.with_chain(s.start), s.inputs(), concurrency_limit=1)
        self._on(s.run.input, self.with_chain(s.choose_run), {s.run})
        self._on(s.more.click, self.doing(s.show_more))
        self._jobs(s.line)
        self._on(s.next.click, self.opens("segment"))

    def _wire_segment(self) -> None:
        s, sets = self.segment, self.segment.sets
        handlers = (
            (sets.source.input, sets.choose_source), (sets.draw.click, sets.draw_source), (sets.source_drop.upload, sets.upload_source),
            (sets.target.input, sets.choose_target), (sets.target_drop.upload, sets.upload_target), (s.preset.input, s.choose_preset),
            (sets.source_again.click, sets.read_source_again), (sets.target_again.click, sets.read_target_again),
        )  # fmt: skip
        for event, handler in handlers:
            self._on(event, self.doing(handler), {s.preset, *sets.inputs()})
        self._on(s.start_button.click, self.with_chain(s.start), s.inputs(), concurrency_limit=1)
        self._on(s.run.input, self.with_chain(s.choose_run), {s.run})
        for part in s.figures.inputs():
            self._on(part.input, self.tick)
        self._jobs(s.line)

    def _lines(self) -> list[JobLine]:
        return [self.personalise.line, self.generate.line, self.segment.line]

    def _jobs(self, line: JobLine) -> None:
        """Cancel and Resume of a step's job."""
        for button, what in ((line.cancel, self.lab.cancel), (line.resume, self.lab.resume)):
            self._on(button.click, self.doing(line.asks(what)))

    def _inputs(self) -> set[Any]:
        """What every handler looks at. Few, for each of them is dear to the browser, long after its event."""
        return {self.seen, self.shared.one_shot, *self.segment.figures.inputs()}

    def _outputs(self) -> list[Any]:
        steps = [part for step in self.steps.values() for part in (step.column_of_step, *step.outputs())]
        return [self.rail, self.message, *steps]

    def _on(self, event: Callable[..., Any], handler: Callable[..., Any], more: set[Any] = frozenset(), **options: Any) -> Any:
        """more: what the handler reads besides."""
        return event(handler, self._inputs() | more, self._outputs(), **QUIET, **while_busy(event) | options)

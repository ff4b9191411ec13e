"""The Edit tab: a picture, an edit, and what came out; the preview follows the controls.

Every change runs two events: a coarse picture of few steps (`trigger_mode="always_last"`, so that dragging a slider gives one picture
after the other), then the full one, which stops as soon as a newer ticket was drawn. Stale pictures are never shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
from gradio.components import Component

from core.data.png import read_request
from core.types import ShiftlabError
from ui.edit_choose import Chooser, Values
from ui.edit_draw import drawing, fresh_canvases, masked, painted
from ui.edit_face import FaceChoice
from ui.edit_layout import COMPARE, build_layout
from ui.edit_run import Runner
from ui.edit_show import Updates, alert, empty_html, merged, result_updates
from ui.edit_strengths import FIELD
from ui.events import QUIET, in_order, while_busy
from ui.prompts import load_presets
from ui.requests import recall
from ui.session import Session
from ui.state import Shared
from ui.strip import Strip, read_picture, shown

SLOW: dict[str, Any] = {"concurrency_id": "edit", "concurrency_limit": 8}
LAST = "always_last"
# What says which picture is edited: a cross that is answered after the file that was dropped next leaves a picture on the page that
# nothing is done with.
IN_ORDER = in_order("edit picture")


def build(lab: Any, shared: Shared) -> None:
    """Builds the tab inside the open `gr.Tab`."""
    EditTab(lab, shared).wire()


class EditTab:
    """The tab's parts, the handlers about pictures and results, and the wiring of all of them."""

    def __init__(self, lab: Any, shared: Shared) -> None:
        self.lab, self.shared = lab, shared
        self.session, self.controls, self.canvases, self.results = build_layout(lab, [preset.name for preset in load_presets()])
        self.runner = Runner(lab, shared, self.session, self.controls, self.results)
        self.chooser = Chooser(lab, self.controls, self.canvases.row)
        self.faces = FaceChoice(lab, self.controls)
        self.strip = Strip()

    def start(self, values: Values) -> Updates:
        """At page load: the first example and the first edit that can be used."""
        c, session = self.controls, values[self.session]
        first = self.faces.take(session, session.picture or next(iter(self.strip.all([])), None))
        pictures = {c.examples: self.strip.thumbnails(values[self.shared.source])}
        return pictures | first | {self.results.caption: empty_html()} | self.chooser.start(values[c.method])

    def opened(self, values: Values) -> Updates:
        """The tab was selected, also by the page itself, while it loads or hands an edit over.

        What the browser says of the controls is then out of date, and the answer to it could come last: `start` and `handed` have the word.
        """
        session = values[self.session]
        if not session.started or values[self.shared.to_edit] is not session.taken:
            return {self.controls.message: gr.skip()}
        return self.chooser.refresh(values) | self.faces.refresh(session)

    def drop(self, values: Values) -> Updates:
        """A dropped file: one of our PNGs brings back its request, any other becomes the picture. What cannot be read changes nothing."""
        c, session, file = self.controls, values[self.session], values[self.controls.drop]
        if file is None:
            return {c.message: ""}
        path = file["path"]
        try:
            record = read_request(path)
            if record is not None and "settings" in record:
                return self.chooser.recalled(session, recall(record, self.lab)) | self.faces.show(session)
            return {c.message: ""} | self.faces.take(session, read_picture(path))
        except ShiftlabError as error:
            return {c.message: alert(str(error)), c.drop: shown(session.picture)}

    def clear_picture(self, values: Values) -> Updates:
        """The cross on the picture: nothing to edit, and nothing else is lost."""
        values[self.session].picture = None
        values[self.session].new_ticket()
        return {self.results.progress: "", self.controls.face: gr.update(visible=False)}

    def choose_picture(self, values: Values, event: gr.SelectData) -> Updates:
        """A click on the strip."""
        session: Session = values[self.session]
        return {self.controls.message: ""} | self.faces.take(session, self.strip.all(values[self.shared.source])[event.index])

    def choose_face(self, values: Values) -> Updates:
        """Another face of the same photograph."""
        return {self.controls.message: ""} | self.faces.choose(values, values[self.session])

    def choose_strength(self, values: Values, event: gr.SelectData) -> Updates:
        """A click on the strip of strengths."""
        strength = self.controls.forms[values[self.controls.method]].components.get(FIELD)
        drawn = values[self.session].strengths[event.index :]
        if strength is None or not drawn:  # the strip is of a method that was chosen before, or of a session that was given up
            return {self.controls.message: gr.skip()}
        return {strength: drawn[0]}

    def new_source(self, values: Values) -> Updates:
        """The Data tab's source images changed: they stand first in the strip."""
        return {self.controls.examples: self.strip.thumbnails(values[self.shared.source])}

    def look(self, values: Values) -> Updates:
        """Another view of what is shown."""
        return result_updates(self.results, values[self.session], values[self.results.view], self.lab)

    def choose_whole(self, values: Values) -> Updates:
        """The square or the whole photograph, on the page and in the file to download."""
        session: Session = values[self.session]
        session.in_photo = values[self.results.in_photo]
        return self.look(values) | (self.runner.save(session.shown, session.in_photo) if session.shown else {})

    def choose_shot(self, values: Values, event: gr.SelectData) -> Updates:
        """A click on the history: bring that result back, or put it beside the one shown."""
        session: Session = values[self.session]
        session.new_ticket()
        chosen, view = session.newest_first()[event.index], values[self.results.view]
        if values[self.results.click] == COMPARE and session.shown is not None:
            session.against = chosen
            return result_updates(self.results, session, view, self.lab)
        session.shown, session.against = chosen, None
        back = self.chooser.recalled(session, recall(chosen.record, self.lab))
        session.picture = chosen.picture  # the whole picture that was dropped, not the square inside the record
        there = {self.controls.message: ""} | self.faces.show(session) | self.runner.save(chosen, session.in_photo)
        return back | there | result_updates(self.results, session, view, self.lab)

    def handed(self, values: Values) -> Updates:
        """An edit that another tab handed over."""
        given = values[self.shared.to_edit]
        if given is None:
            return {self.controls.message: gr.skip()}
        picture = self.faces.show(values[self.session])
        return merged(picture, self.chooser.opened_with(values[self.controls.method], given.edit_key))

    def settled(self, values: Values) -> Updates:
        """The page shows what `start` or `handed` answered."""
        session: Session = values[self.session]
        session.started, session.taken = True, values[self.shared.to_edit]
        return self.draw_on(values)

    # --- wiring -------------------------------------------------------------------------------------------------------------------

    def wire(self) -> None:
        """Every event of the tab."""
        c, r, shared = self.controls, self.results, self.shared
        run, choose = self.runner, self.chooser
        self._then_run(self._on(shared.page.load, self.start, **IN_ORDER), opening=True)
        # Not preprocessed: Gradio would open the file first, and fail on a damaged one without a sentence. It has checked by then
        # that the path is in its upload folder.
        self._then_run(self._on(c.drop.upload, self.drop, {c.drop}, preprocess=False, **IN_ORDER))
        self._on(c.drop.clear, self.clear_picture, **IN_ORDER)
        self._then_run(self._on(c.examples.select, self.choose_picture, **IN_ORDER))
        self._then_run(self._on(c.face.input, self.choose_face, **IN_ORDER))
        self._on(shared.source.change, self.new_source)
        self._then_run(self._on(c.edit.input, choose.choose_edit))
        self._then_run(self._on(c.preset.input, choose.choose_preset, {c.preset}))
        self._then_run(self._on(c.method.input, choose.choose_method))
        for part, how in ((self.canvases.strokes, painted), (self.canvases.mask, masked)):
            self._then_run(part.input(drawing(how), [self.session, part], None, trigger_mode=LAST, **QUIET))
        for prompt in (c.reference, c.target):
            self._on(prompt.change, choose.write_prompts, trigger_mode=LAST)  # `input` misses a paste
            self._run(prompt.submit, run.press, run.full)
        self._on(shared.tab["edit"].select, self.opened, {shared.to_edit})
        self._then_run(self._on(shared.to_edit.change, self.handed, {shared.to_edit}), opening=True)
        self._run(c.go.click, run.press, run.full)
        self._wire_live()
        self._on(r.view.input, self.look)
        self._on(r.in_photo.input, self.choose_whole, {r.in_photo})
        self._on(r.gallery.select, self.choose_shot, {r.click}, **IN_ORDER)
        c.strengths.click(self._never_silent(run.strip), self._inputs(), self._run_outputs(), **QUIET, **SLOW)
        self._then_run(self._on(r.strip.select, self.choose_strength))

    def _wire_live(self) -> None:
        """Settings, seed and mixing: the preview follows."""
        c = self.controls
        parts = [*(part for form in c.forms.values() for part in form.outputs()), c.seed, c.mixed]
        triggers = [part.input for part in parts]
        self._run(lambda *fn, **options: gr.on(triggers, *fn, **options), self.runner.live_coarse, self.runner.live_full)

    def _inputs(self) -> set[Component]:
        return {self.session, self.shared.source, self.results.view, *self.controls.inputs()}

    def _outputs(self) -> list[Component]:
        c = self.controls
        plain = [c.drop, c.face, c.examples, c.method, c.line, c.edit, c.mixed]
        plain += [self.canvases.row, c.preset, c.reference, c.target, c.strengths, c.seed, c.go, c.message]
        forms = [part for form in c.forms.values() for part in form.outputs()]
        return [*plain, *c.columns.values(), *forms, *self.results.outputs(), self.shared.to_tune, self.shared.tabs]

    def _run_outputs(self) -> list[Component]:
        """Few, because Gradio makes every output anew for each step that is shown."""
        return [*self.results.outputs(), self.controls.message, self.shared.to_tune, self.shared.tabs]

    def _on(self, event: Callable[..., Any], handler: Callable[..., Any], more: set[Component] = frozenset(), **options: Any) -> Any:
        """A quick handler."""
        return event(handler, self._inputs() | more, self._outputs(), **QUIET, **while_busy(event) | options)

    def _run(self, event: Callable[..., Any], first: Callable[..., Any], second: Callable[..., Any], mode: str = LAST) -> Any:
        """The coarse picture, then the full one."""
        begun = event(self._never_silent(first), self._inputs(), self._run_outputs(), trigger_mode=mode, **QUIET, **SLOW)
        return begun.then(self._never_silent(second), self._inputs(), self._run_outputs(), trigger_mode="multiple", **QUIET, **SLOW)

    def _never_silent(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """The handler with a first yield that changes nothing: Gradio empties every output of a generator that ends without one."""

        def stream(values: Values) -> Iterator[Updates]:
            yield {self.results.progress: gr.skip()}
            yield from handler(values)

        return stream

    def draw_on(self, values: Values) -> Updates:
        """After something was chosen: the canvases follow, once they are there."""
        updates = fresh_canvases(self.canvases, values[self.controls.method], values[self.session], self.lab)
        return updates or {self.controls.message: gr.skip()}

    def _then_run(self, event: Any, opening: bool = False) -> Any:
        """After something was chosen: edit, where "Live" is on or the page, just opened, must not stay empty."""
        run, c = self.runner, self.controls
        shown = [self.canvases.strokes, self.canvases.mask, c.message]
        draw = self.settled if opening else self.draw_on
        event = event.then(draw, {self.session, c.method, self.shared.to_edit}, shown, trigger_mode="multiple", **QUIET)
        pair = (run.coarse, run.full) if opening else (run.live_coarse, run.live_full)
        return self._run(event.then, *pair, mode="multiple")

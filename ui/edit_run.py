"""Running edits from the page: what is asked for, the coarse picture, the full one, and the button."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from core.data.png import write_png
from core.methods import that_train
from core.types import ShiftlabError
from ui.edit_layout import Controls, Results
from ui.edit_show import Updates, alert, progress_html, result_updates
from ui.edit_strengths import strength_pictures, strengths
from ui.history import gallery_items
from ui.methods import about, follows_prompts, teacher_of
from ui.preview import Progress, watch
from ui.prompts import check_prompts
from ui.requests import Plan
from ui.session import NOTHING_DRAWN, Session, Shot
from ui.state import Shared, ToTune

Values = Mapping[Component, Any]


class Runner:
    """Event handlers; each takes the values by component and yields updates by component."""

    def __init__(self, lab: Any, shared: Shared, session: gr.State, controls: Controls, results: Results) -> None:
        self.lab, self.shared = lab, shared
        self.session, self.controls, self.results = session, controls, results

    def plan(self, values: Values) -> Plan:
        """What the page asks for now; raises ShiftlabError where it is incomplete."""
        c, session = self.controls, values[self.session]
        if session.picture is None:
            raise ShiftlabError("There is no picture. Drop one, or choose an example.")
        form = c.forms[values[c.method]]
        prompts = {"reference_prompt": values[c.reference].strip(), "target_prompt": values[c.target].strip()}
        settings = form.read(values, **{name: text for name, text in prompts.items() if name in form.settings_class.model_fields})
        first = [values[c.edit]] if values[c.edit] else []
        keys = (*first, *(key for key in values[c.mixed] or [] if key not in first))
        names = {entry.key: entry.name for entry in self.lab.edits()}
        title = " + ".join(names.get(key, "an edit that is gone") for key in keys)
        method = self.lab.methods[values[c.method]]
        if not follows_prompts(method):
            title = " · ".join(filter(None, (type(method).__name__, title)))
        drawing = session.drawing if about(values[c.method]).draws else NOTHING_DRAWN
        return Plan(session.picture, settings, keys, int(values[c.seed] or 0), title, drawing)

    def ready(self, values: Values) -> bool:
        """Whether the method has what it needs."""
        return bool(values[self.controls.edit]) or not about(values[self.controls.method]).required

    def coarse(self, values: Values) -> Iterator[Updates]:
        """The first picture: few generation steps. Draws a new ticket, so that a full picture under way stops."""
        ticket = values[self.session].new_ticket()
        yield from self._run(values, ticket, coarse=True)

    def full(self, values: Values) -> Iterator[Updates]:
        """The full picture, under the ticket that `coarse` drew; kept in the history."""
        yield from self._run(values, values[self.session].ticket, coarse=False)

    def live_coarse(self, values: Values) -> Iterator[Updates]:
        """As `coarse`, while "Live" is on and there is a picture."""
        if self._follows(values):
            yield from self.coarse(values)

    def live_full(self, values: Values) -> Iterator[Updates]:
        """As `full`, while "Live" is on and there is a picture."""
        if self._follows(values):
            yield from self.full(values)

    def press(self, values: Values) -> Iterator[Updates]:
        """The button: Edit where the method has what it needs, else everything goes to Tune."""
        yield {self.controls.message: ""}
        if self.ready(values):
            yield from self.coarse(values)
        else:
            yield self._to_tune(values)

    def save(self, shot: Shot, in_photo: bool) -> Updates:
        """The result as a PNG that carries its request, written where Gradio serves files from."""
        words = "".join(letter if letter.isalnum() else " " for letter in shot.title).split()
        folder = Path(self.results.download.GRADIO_CACHE) / f"result-{id(shot):x}"
        path = write_png(folder / f"shiftlab-{shot.number}-{'-'.join(words) or 'picture'}.png", shot.pair(in_photo)[1], shot.record)
        return {self.results.download: gr.update(value=str(path), interactive=True)}

    def _run(self, values: Values, ticket: int, coarse: bool) -> Iterator[Updates]:
        session: Session = values[self.session]
        if not self.ready(values):
            return
        try:
            plan = self.plan(values)
            if not (plan.has_coarse if coarse else session.begins(ticket, plan)):
                return
            for seen in watch(self.lab, plan, lambda: session.ticket == ticket, coarse):
                shown = {self.results.progress: progress_html(seen)} if isinstance(seen, Progress) else self._result(values, seen)
                yield shown
        except ShiftlabError as error:
            yield {**self._refused(session, error), self.results.progress: ""}

    def _refused(self, session: Session, error: ShiftlabError) -> Updates:
        """What stands on the page until the next picture."""
        session.failed = True
        return {self.controls.message: alert(str(error))}

    def _follows(self, values: Values) -> bool:
        """Whether the preview follows the controls. Without a picture only the button has something to say: that there is none."""
        return values[self.controls.live] and values[self.session].picture is not None

    def _result(self, values: Values, shot: Shot) -> Updates:
        session: Session = values[self.session]
        session.against = None
        session.shown = shot if shot.coarse else session.keep(shot)
        updates = result_updates(self.results, session, values[self.results.view], self.lab)
        if session.failed:
            session.failed = False
            updates |= {self.controls.message: ""}
        if shot.coarse:
            return updates
        gallery = {self.results.gallery: gr.update(value=gallery_items(session, self.results.gallery.GRADIO_CACHE), selected_index=None)}
        return updates | gallery | self.save(session.shown, session.in_photo)

    def strip(self, values: Values) -> Iterator[Updates]:
        """One picture at every strength, each shown as soon as it is there."""
        session: Session = values[self.session]
        ticket = session.new_ticket()
        if not self.ready(values):
            yield self._to_tune(values)
            return
        try:
            plan = self.plan(values)
            session.strengths = strengths(plan.settings)
            for pictures in strength_pictures(self.lab, plan, lambda: session.ticket == ticket):
                yield {self.results.strip: gr.update(value=pictures, visible=True, selected_index=None), self.controls.message: ""}
        except ShiftlabError as error:
            yield self._refused(session, error)

    def _to_tune(self, values: Values) -> Updates:
        """What is missing is trained there: by the method itself, towards these prompts, or by one that tunes bases."""
        c, method = self.controls, values[self.controls.method]
        teacher = teacher_of(method, that_train(self.lab.methods))
        given: dict[str, Any] = {}
        try:
            plan = self.plan(values)
            if "target_prompt" in self.lab.methods[teacher].train_settings.model_fields:
                check_prompts(values[c.reference], values[c.target], self.lab.clip)
                given = {"reference_prompt": values[c.reference].strip(), "target_prompt": values[c.target].strip()}
        except ShiftlabError as error:
            return self._refused(values[self.session], error)
        if given and teacher == method and hasattr(plan.settings, "return_step"):
            given["return_step"] = plan.settings.return_step
        handed = ToTune(teacher, given, (plan.picture,))
        return {self.shared.to_tune: handed, self.shared.tabs: gr.Tabs(selected="tune"), c.message: ""}

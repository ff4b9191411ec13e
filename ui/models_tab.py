"""The Models tab: what is loaded and why, what else there is, and a file looked at before it is trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from core.models.convert import convert_to_checkpoint
from core.models.facts import Facts
from core.models.files import inspect
from core.models.zoo import entry_of, find, installed, zoo
from core.types import ShiftlabError
from ui.edit_show import alert
from ui.events import QUIET, timer_of, while_busy
from ui.models_bring import AS_EDIT, AS_FILE, Bring, build_bring, chosen_path, offered
from ui.models_more import More, build_more, measured
from ui.models_show import facts_html, lines, list_html, loaded_html
from ui.state import Shared
from ui.tuned_base import switched_html

POLL_SECONDS = 1.0
# The list is one piece of HTML; a click on one of its buttons tells what to do with which model. The second click of a double click is
# none: by then another button may stand where the first one was. What was found in a model is shown beside the list, or above it.
TELL = """
element.onclick = event => {
  const button = event.target.closest('[data-do]');
  if (!button || event.detail > 1) return;
  if (button.dataset.do === 'look') document.getElementById('models-path').scrollIntoView({block: 'center'});
  trigger('click', {do: button.dataset.do, kind: button.dataset.kind, name: button.dataset.name});
};
"""
Values = Mapping[Any, Any]
Updates = dict[Any, Any]


@dataclass
class Looking:
    """What one page's Models tab shows. Changed in place."""

    facts: Facts | None = None
    asked: tuple[str, str] = ("", "")  # "remove" or "fetch", and the model's name, where that is to be confirmed
    shown: tuple[str, str] = ("", "")


def build(lab: Any, shared: Shared) -> None:
    """Builds the tab inside the open `gr.Tab`."""
    ModelsTab(lab, shared).wire()


class ModelsTab:
    """The tab's components, the handlers, and the wiring."""

    def __init__(self, lab: Any, shared: Shared) -> None:
        self.lab, self.shared = lab, shared
        self.looking = gr.State(Looking())
        self.timer = timer_of(shared, "models", POLL_SECONDS)
        self.loaded = gr.HTML("", elem_id="models-loaded")
        self.message = gr.HTML("", elem_id="models-message")
        with gr.Row(elem_classes="workbench models-bench"):
            with gr.Column(scale=0, min_width=300, elem_classes="controls"):
                self.bring: Bring = build_bring()
                self.more: More = build_more()
            with gr.Column(scale=1, min_width=300, elem_classes="stage"):
                self.list = gr.HTML("", js_on_load=TELL, elem_id="models-list")

    # --- looking ------------------------------------------------------------------------------------------------------------------

    def refresh(self, values: Values) -> Updates:
        """What is not on the page yet."""
        looking: Looking = values[self.looking]
        models, mirror = self.lab.models(), self.lab.shelf.mirror
        found = lines(models, zoo(), installed(self.lab.home), self.lab.fetches.list(), mirror)
        shown = loaded_html(models), list_html(found, looking.asked, mirror)
        parts = zip((self.loaded, self.list), shown, looking.shown, strict=True)
        updates = {part: now for part, now, before in parts if now != before}
        looking.shown = shown
        return updates or {self.message: gr.skip()}

    # --- doing --------------------------------------------------------------------------------------------------------------------

    def press(self, values: Values, event: gr.EventData) -> Updates:
        """A button of the list. Removing and downloading happen only where they were asked about just before."""
        looking: Looking = values[self.looking]
        what, kind, name = (str(event._data.get(key, "")) for key in ("do", "kind", "name"))
        asked, looking.asked = looking.asked, ("", "")
        if what.startswith("ask "):
            looking.asked = (what.removeprefix("ask "), name)
        if what == "look":
            return {self.bring.path: name, **self.inspect({**values, self.bring.path: name})}
        if what in ("remove", "fetch") and asked != (what, name):
            return self._done(values, lambda: None)
        do = {
            "use": lambda: switched_html(kind, self.lab.use(kind, name)),
            "fetch": lambda: self._fetch(name),
            "again": lambda: self._fetch(name),
            "stop": lambda: self.lab.fetches.stop(name),
            "remove": lambda: self.lab.remove_model(name),
        }.get(what, lambda: None)
        return self._done(values, do)

    def fetch(self, values: Values) -> Updates:
        """A model of the hub by the id that was typed."""
        return self._done(values, lambda: self._fetch((values[self.more.reference] or "").strip()))

    def _fetch(self, name: str) -> None:
        entry_of(name)  # refuses what is no model, before it stands in the list
        self.lab.fetches.start(name)

    def inspect(self, values: Values) -> Updates:
        """Looks into the file or folder, and offers what can be made of it."""
        b, looking = self.bring, values[self.looking]
        looking.facts = None
        try:
            path = chosen_path(values[b.path], values[b.drop], lambda name: find(name, self.lab.home, self.lab.shelf.mirror))
            looking.facts = facts = inspect(path, **b.said(values))
        except ShiftlabError as error:
            return {b.found: alert(str(error)), **self._offered(None)}
        return {b.found: facts_html(facts), **self._offered(facts)}

    def choose_use(self, values: Values) -> Updates:
        """A base has a domain; an edit has prompts; a file has a place."""
        return self._offered(values[self.looking].facts, values[self.bring.use])

    def bring_in(self, values: Values) -> Updates:
        """Imports what was inspected, or writes it as a checkpoint."""
        b, facts = self.bring, values[self.looking].facts
        if facts is None:
            return {b.found: alert("Inspect the file first.")}
        said = self._done(values, lambda: self._brought(facts, values))
        if "calm" not in said[self.message]:
            return said
        values[self.looking].facts = None
        return {**said, b.found: "", b.path: "", b.drop: None, **self._offered(None)}

    def _brought(self, facts: Facts, values: Values) -> str:
        b = self.bring
        name = (values[b.name] or "").strip() or facts.path.stem
        if values[b.use] == AS_FILE:
            path = convert_to_checkpoint(facts.path, Path((values[b.file] or "").strip()).expanduser())
            return alert(f"{path} is written.", calm=True)
        if values[b.use] == AS_EDIT:
            self.lab.add_edit(facts.path, name, (values[b.reference] or "").strip(), (values[b.target] or "").strip())
            return alert(f"The edit “{name}” is here. Choose it on the Edit tab.", calm=True)
        kept = self.lab.shelf.add(facts, name, values[b.domain] or "")
        return alert(f"“{kept}” is here. “Use” in the list loads it.", calm=True)

    def measure(self, values: Values) -> Iterator[Updates]:
        """Floor and ceiling of the loaded identity encoder."""
        try:
            for line in measured(self.lab, values[self.more.people], bool(values[self.more.align])):
                yield {self.message: alert(line, calm=True)}
        except ShiftlabError as error:
            yield {self.message: alert(str(error))}
        else:
            yield self.refresh(values)

    def _offered(self, facts: Facts | None, use: str | None = None) -> Updates:
        return offered(self.bring, facts, self.lab.home / "exports", use)

    def _done(self, values: Values, do: Callable[[], str | None]) -> Updates:
        """Does it, and says what came of it, or why it could not be."""
        try:
            said = do() or ""
        except ShiftlabError as error:
            said = alert(str(error))
        return {**self.refresh(values), self.message: said}

    # --- wiring -------------------------------------------------------------------------------------------------------------------

    def wire(self) -> None:
        """Every event of the tab."""
        b = self.bring
        self._on(self.shared.tab["models"].select, self.refresh)
        self._on(self.timer.tick, self.refresh, queue=False)
        self._on(self.list.click, self.press)
        self._on(b.look.click, self.inspect)
        self._on(b.path.submit, self.inspect)
        self._on(b.drop.upload, self.inspect)
        self._on(b.use.input, self.choose_use)
        self._on(b.go.click, self.bring_in)
        self._on(self.more.fetch.click, self.fetch)
        self._on(self.more.reference.submit, self.fetch)
        self._on(self.more.measure.click, self.measure)

    def _on(self, event: Callable[..., Any], handler: Callable[..., Updates | Iterator[Updates]], **options: Any) -> Any:
        outputs = [self.loaded, self.list, self.message, *self.bring.outputs()]
        inputs = {self.looking, self.more.reference, self.more.people, self.more.align, *self.bring.inputs()}
        return event(handler, inputs, outputs, **QUIET, **while_busy(event) | options)

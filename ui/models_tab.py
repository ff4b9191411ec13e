"""The Models tab: what is loaded and why, what else there is, and a file looked at before it is trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from core.lab import Switched
from core.models.files import Facts, inspect
from core.models.zoo import installed, zoo
from core.types import ShiftlabError
from ui.edit_show import alert
from ui.models_bring import AS_EDIT, Bring, build_bring, chosen_path, offered
from ui.models_show import TITLES, facts_html, lines, list_html, loaded_html
from ui.state import SESSION_SECONDS, Shared

POLL_SECONDS = 1.0
# The list is one piece of HTML; a click on one of its buttons tells what to do with which model.
TELL = """
element.onclick = event => {
  const button = event.target.closest('[data-do]');
  if (button) trigger('click', {do: button.dataset.do, kind: button.dataset.kind, name: button.dataset.name});
};
"""
Values = Mapping[Any, Any]
Updates = dict[Any, Any]


@dataclass
class Looking:
    """What one page's Models tab shows. Changed in place."""

    facts: Facts | None = None
    sure: str = ""  # the model whose removal is asked about
    shown: tuple[str, str] = ("", "")


def build(lab: Any, shared: Shared) -> None:
    """Builds the tab inside the open `gr.Tab`."""
    ModelsTab(lab, shared).wire()


class ModelsTab:
    """The tab's components, the handlers, and the wiring."""

    def __init__(self, lab: Any, shared: Shared) -> None:
        self.lab, self.shared = lab, shared
        self.looking = gr.State(Looking(), time_to_live=SESSION_SECONDS)
        self.timer = gr.Timer(POLL_SECONDS)
        self.loaded = gr.HTML("", elem_id="models-loaded")
        self.message = gr.HTML("", elem_id="models-message")
        with gr.Row(elem_classes="workbench models-bench"):
            with gr.Column(scale=0, min_width=300, elem_classes="controls"):
                self.bring: Bring = build_bring()
            with gr.Column(scale=1, min_width=300, elem_classes="stage"):
                self.list = gr.HTML("", js_on_load=TELL, elem_id="models-list")

    # --- looking ------------------------------------------------------------------------------------------------------------------

    def refresh(self, values: Values) -> Updates:
        """What is not on the page yet."""
        looking: Looking = values[self.looking]
        models = self.lab.models()
        found = lines(models, zoo(), installed(self.lab.home), self.lab.fetches.list())
        shown = loaded_html(models), list_html(found, looking.sure)
        parts = zip((self.loaded, self.list), shown, looking.shown, strict=True)
        updates = {part: now for part, now, before in parts if now != before}
        looking.shown = shown
        return updates or {self.message: gr.skip()}

    def opened(self, values: Values) -> Updates:
        """A page that was just loaded has nothing yet."""
        values[self.looking].shown = ("", "")
        return self.refresh(values)

    # --- doing --------------------------------------------------------------------------------------------------------------------

    def press(self, values: Values, event: gr.EventData) -> Updates:
        """A button of the list."""
        looking: Looking = values[self.looking]
        told = {key: str(event._data.get(key, "")) for key in ("do", "kind", "name")}
        looking.sure = told["name"] if told["do"] == "remove" else ""
        do = {
            "use": lambda: _switched(told["kind"], self.lab.use(told["kind"], told["name"])),
            "fetch": lambda: self.lab.fetches.start(told["name"]),
            "stop": lambda: self.lab.fetches.stop(told["name"]),
            "sure": lambda: self.lab.remove_model(told["name"]),
        }.get(told["do"], lambda: None)
        return self._done(values, do)

    def inspect(self, values: Values) -> Updates:
        """Looks into the file or folder, and offers what can be made of it."""
        b, looking = self.bring, values[self.looking]
        looking.facts = None
        try:
            sizes = {"image_size": values[b.image_size], "head_channels": values[b.head_channels]}
            whole = {name: int(value) for name, value in sizes.items() if value}
            looking.facts = facts = inspect(chosen_path(values[b.path], values[b.drop]), **whole)
        except ShiftlabError as error:
            return {b.found: alert(str(error)), **offered(b, None)}
        return {b.found: facts_html(facts), **offered(b, facts)}

    def choose_use(self, values: Values) -> Updates:
        """A base has a domain; an edit has prompts."""
        return offered(self.bring, values[self.looking].facts, values[self.bring.use])

    def bring_in(self, values: Values) -> Updates:
        """Imports what was inspected."""
        b, facts = self.bring, values[self.looking].facts
        if facts is None:
            return {b.found: alert("Inspect the file first.")}
        name = (values[b.name] or "").strip() or facts.path.stem

        def do() -> str:
            if values[b.use] == AS_EDIT:
                self.lab.add_edit(facts.path, name, (values[b.reference] or "").strip(), (values[b.target] or "").strip())
                return alert(f"The edit “{name}” is here. Choose it on the Edit tab.", calm=True)
            kept = self.lab.shelf.add(facts.path, name, values[b.domain] or "")
            return alert(f"The base “{kept}” is here, as a diffusers folder. “Use” in the list loads it.", calm=True)

        said = self._done(values, do)
        if "calm" not in said[self.message]:
            return said
        values[self.looking].facts = None
        return {**said, b.found: "", b.path: "", b.drop: None, **offered(b, None)}

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
        self._on(self.shared.page.load, self.opened)
        self._on(self.shared.tab["models"].select, self.refresh)
        self._on(self.timer.tick, self.refresh, queue=False)
        self._on(self.list.click, self.press)
        self._on(b.look.click, self.inspect)
        self._on(b.path.submit, self.inspect)
        self._on(b.drop.upload, self.inspect)
        self._on(b.use.input, self.choose_use)
        self._on(b.go.click, self.bring_in)

    def _on(self, event: Callable[..., Any], handler: Callable[..., Updates], **options: Any) -> Any:
        outputs = [self.loaded, self.list, self.message, *self.bring.outputs()]
        return event(handler, {self.looking, *self.bring.inputs()}, outputs, show_progress="hidden", api_visibility="private", **options)


def _switched(kind: str, change: Switched) -> str:
    """What a new model means for the work at hand."""
    said = f"{TITLES[kind]} is now “{change.model}”. Prompts and settings stay as they are."
    if kind != "base" or not change.lost:
        return alert(said, calm=True)
    names = ", ".join(f"“{name}”" for name in change.lost)
    several = len(change.lost) > 1
    return alert(
        f"{said} {'The edits' if several else 'The edit'} {names} {'belong' if several else 'belongs'} to the base before, and cannot be "
        "used until it is loaded again; fine-tune anew for this one."
    )

"""One visitor of the Edit tab, whose page is a table of values."""

from __future__ import annotations

from typing import Any

from ui.edit_tab import EditTab
from ui.session import Session


class Visitor:
    """One visitor's page: the values in the components, changed as the handlers say."""

    def __init__(self, tab: EditTab) -> None:
        self.tab = tab
        self.session = Session()
        parts = {*tab._inputs(), tab.controls.drop, tab.shared.to_edit, tab.results.click, tab.results.in_photo}
        self.values: dict[Any, Any] = {part: getattr(part, "value", None) for part in parts}
        self.values |= {tab.session: self.session, tab.shared.source: []}
        self.about: dict[Any, dict[str, Any]] = {}
        self.shown: dict[Any, Any] = {}

    def take(self, updates: dict[Any, Any]) -> dict[Any, Any]:
        assert updates, "Gradio takes an empty dict for a value"
        assert set(updates) <= set(self.tab._outputs())
        for part, update in updates.items():
            change = update if isinstance(update, dict) and "__type__" in update else {"value": update}
            self.about.setdefault(part, {}).update(change)
            if "value" in change:
                self.values[part] = self.shown[part] = change["value"]
        return updates

    def run(self) -> None:
        for handler in (self.tab.runner.press, self.tab.runner.full):
            for updates in handler(self.values):
                self.take(updates)

    def switch(self, method: str) -> None:
        self.values[self.tab.controls.method] = method
        self.take(self.tab.chooser.choose_method(self.values))

    def type(self, reference: str, target: str) -> dict[Any, Any]:
        c = self.tab.controls
        self.values |= {c.reference: reference, c.target: target}
        return self.take(self.tab.chooser.write_prompts(self.values))

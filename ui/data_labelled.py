"""Labelled sets on the Data tab: a ZIP comes in, what was understood of it stands beside, and one button carries it to Adapt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from core.jobs.sets import SetEntry, SetShelf
from core.types import ShiftlabError
from ui.adapt_set_show import reading_html, set_html
from ui.edit_show import alert
from ui.events import QUIET, timer_of, while_busy
from ui.read_again import again_button, again_update
from ui.state import Shared

POLL_SECONDS = 1.0
PURPOSE = "Pictures with labels, for Adapt: a ZIP of class folders, with a metadata.csv, or with CelebA's attribute list."
Values = Mapping[Any, Any]
Updates = dict[Any, Any]


class LabelledCard:
    """The card, its handlers, and the wiring. shown: what one page shows of it, so that only what changed is sent again."""

    def __init__(self, shelf: SetShelf, shared: Shared) -> None:
        self.shelf, self.shared = shelf, shared
        self.shown = gr.State({})
        self.timer = timer_of(shared, "data", POLL_SECONDS)
        with gr.Row(elem_classes="sets labelled-sets"):
            with gr.Column(elem_classes="card set", min_width=280, scale=1):
                gr.HTML(f'<h2 class="heading">Labelled</h2><p class="help">{PURPOSE}</p>')
                self.drop = gr.File(
                    label="Labelled set", show_label=False, file_types=[".zip"], type="filepath", height=110, elem_id="data-labelled-drop",
                    elem_classes="drop",
                )  # fmt: skip
                self.pick = gr.Dropdown(
                    [], label="Look at", visible=False, interactive=True, allow_custom_value=True, elem_id="data-labelled-pick"
                )
                self.label = gr.Dropdown(
                    [], label="Label", visible=False, interactive=True, allow_custom_value=True, elem_id="data-labelled-label"
                )
                self.to_adapt = gr.Button("Adapt it", size="sm", visible=False, elem_id="data-labelled-adapt")
            with gr.Column(elem_classes="card told-set", visible=False, min_width=280, scale=2) as self.card:
                self.told = gr.HTML("", elem_id="data-labelled-told", elem_classes="plain")
                self.again = again_button("data-labelled-read-again")

    def look(self, values: Values) -> Updates:
        """What is not on the page yet."""
        shown, entries = values[self.shown], self.shelf.entries()
        id = shown.get("id") or (entries[0].id if entries else "")
        entry = next((entry for entry in entries if entry.id == id), None)
        chosen = self.shelf.choices(id) if entry is not None and entry.ready else None
        now = ([(entry.name, entry.id) for entry in entries], entry, chosen)
        if shown.get("now") == now:
            return {self.told: gr.skip()}
        shown["now"], shown["id"] = now, id
        ready = chosen is not None
        label = {"choices": list(self.shelf.load(id).columns), "value": chosen.column} if ready else {}
        return {
            self.card: gr.update(visible=entry is not None),
            self.pick: gr.update(choices=now[0], value=id or None, visible=bool(entries)),
            self.label: gr.update(**label, visible=ready),
            self.to_adapt: gr.update(visible=ready),
            self.told: self._told(entry),
            self.again: again_update(entry),
        }

    def _told(self, entry: SetEntry | None) -> str:
        if entry is None:
            return ""
        if not entry.ready:
            return reading_html(entry)
        choices = self.shelf.choices(entry.id)
        try:
            return set_html(entry.name, self.shelf.split_index(entry.id, choices), choices.column)
        except (ShiftlabError, OSError) as error:
            return alert(str(error))

    def upload(self, values: Values) -> Updates:
        path = Path(values[self.drop])
        values[self.shown].update(id=self.shelf.bring(path, path.stem))
        return {self.drop: None, **self.look(values)}

    def choose(self, values: Values) -> Updates:
        values[self.shown].update(id=values[self.pick])
        return self.look(values)

    def read_again(self, values: Values) -> Updates:
        self.shelf.read_again(values[self.shown]["id"])
        return self.look(values)

    def choose_label(self, values: Values) -> Updates:
        try:
            self.shelf.choose(values[self.shown]["id"], column=values[self.label])
        except ShiftlabError as error:  # the set is gone, removed in another window
            return {self.told: alert(str(error))}
        return self.look(values)

    def adapt(self, values: Values) -> Updates:
        """Opens Adapt with this set."""
        return {self.shared.to_adapt: values[self.shown].get("id"), self.shared.tabs: gr.Tabs(selected="adapt")}

    def wire(self) -> None:
        """Every event of the card."""
        self._on(self.drop.upload, self.upload)
        self._on(self.pick.input, self.choose)
        self._on(self.label.input, self.choose_label)
        self._on(self.again.click, self.read_again)
        self._on(self.to_adapt.click, self.adapt)
        self._on(self.shared.tab["data"].select, self.look)
        self._on(self.timer.tick, self.look, queue=False)

    def _on(self, event: Callable[..., Any], handler: Callable[..., Updates], **options: Any) -> None:
        card = [self.drop, self.pick, self.label, self.to_adapt, self.card, self.told, self.again]
        inputs = {self.shown, self.drop, self.pick, self.label}
        event(handler, inputs, [*card, self.shared.to_adapt, self.shared.tabs], **QUIET, **while_busy(event) | options)

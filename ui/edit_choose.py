"""Choosing in the Edit tab: edit, preset, prompts and method keep each other in step, and requests come back into the controls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from ui.edit_layout import Controls
from ui.edit_show import Updates, alert, merged
from ui.forms import settings_from
from ui.prompts import edit_for, find_preset, load_presets
from ui.requests import Recalled
from ui.session import Session
from ui.strip import shown

Values = Mapping[Component, Any]
EDIT, TUNE = "Edit", "Fine-tune for these prompts"


class Chooser:
    """Event handlers; each takes the values by component and gives updates by component."""

    def __init__(self, lab: Any, controls: Controls) -> None:
        self.lab, self.controls = lab, controls
        self.presets = load_presets()

    def choose_edit(self, values: Values) -> Updates:
        """An edit brings its prompts and the return step it was trained for."""
        return self.with_edit(values[self.controls.method], values[self.controls.edit])

    def with_edit(self, method: str, key: str | None) -> Updates:
        """As `choose_edit`, for a key; an edit of another base is refused by name."""
        c = self.controls
        entry = next((entry for entry in self.lab.edits() if entry.key == key), None)
        if entry is None:
            return {c.message: alert("This edit is gone. Choose another one.") if key else ""}
        if not entry.usable:
            return {c.edit: gr.update(value=None), c.message: alert(entry.why_not)}
        card = entry.card
        return {
            c.edit: gr.update(value=key),
            c.reference: card.reference_prompt,
            c.target: card.target_prompt,
            c.preset: self._preset_name(card.reference_prompt, card.target_prompt),
            c.go: gr.update(value=EDIT),
            c.message: "",
            **self._show_step(method, card.settings.get("return_step")),
        }

    def choose_preset(self, values: Values) -> Updates:
        """A preset writes its prompts, and chooses the edit that was trained for them."""
        c = self.controls
        preset = next((preset for preset in self.presets if preset.name == values[c.preset]), None)
        if preset is None:
            return {c.message: ""}
        matched = self._match(values[c.method], preset.reference, preset.target)
        step = self._show_step(values[c.method], preset.return_step)
        return {c.reference: preset.reference, c.target: preset.target, **step, **matched}

    def write_prompts(self, values: Values) -> Updates:
        """Prompts that changed, by keys or by a paste: their edit is chosen, or the button offers to train one.

        An edit that has these very prompts stays chosen: it was it that wrote them.
        """
        c = self.controls
        chosen = next((entry for entry in self.lab.edits() if entry.key == values[c.edit]), None)
        written = (values[c.reference].strip(), values[c.target].strip())
        if chosen is not None and (chosen.card.reference_prompt, chosen.card.target_prompt) == written:
            return {c.preset: self._preset_name(*written)}
        matched = self._match(values[c.method], values[c.reference], values[c.target])
        return {c.preset: self._preset_name(values[c.reference], values[c.target]), **matched}

    def choose_method(self, values: Values) -> Updates:
        """The method decides which controls show, and which edits there are."""
        c = self.controls
        columns = {column: gr.update(visible=key == values[c.method]) for key, column in c.columns.items()}
        matched = self._match(values[c.method], values[c.reference], values[c.target])
        return merged(columns, self.choices(values[c.method]), matched)

    def choices(self, method: str) -> Updates:
        """The lists of edits, fresh from disk."""
        found = [entry for entry in self.lab.edits() if entry.card.method == method]
        named = [(entry.name if entry.shipped else f"{entry.name} (yours)", entry.key) for entry in found if entry.usable]
        refused = [(f"{entry.name} (for another base)", entry.key) for entry in found if not entry.usable]
        return {self.controls.edit: gr.update(choices=named + refused), self.controls.mixed: gr.update(choices=named)}

    def refresh(self, values: Values) -> Updates:
        """When the tab is opened again: edits that were trained meanwhile are offered, and the choice stays while its base is loaded."""
        c = self.controls
        updates, entries = self.choices(values[c.method]), {entry.key: entry for entry in self.lab.edits()}
        chosen = entries.get(values[c.edit])
        mixed = [key for key in values[c.mixed] or [] if key in entries and entries[key].usable]
        updates = merged(updates, {c.mixed: gr.update(value=mixed)})
        if chosen is not None and chosen.usable:
            return updates
        updates = merged(updates, self._match(values[c.method], values[c.reference], values[c.target]))
        return updates | ({c.message: alert(chosen.why_not)} if chosen is not None else {})

    def first(self, method: str) -> Updates:
        """The first edit that can be used; the first preset where there is none."""
        usable = [entry for entry in self.lab.edits() if entry.usable and entry.card.method == method]
        if usable:
            return merged(self.choices(method), self.with_edit(method, usable[0].key))
        c, preset = self.controls, self.presets[0]
        prompts = {c.reference: preset.reference, c.target: preset.target, c.preset: preset.name}
        return merged(self.choices(method), prompts, self._match(method, preset.reference, preset.target))

    def recalled(self, session: Session, told: Recalled) -> Updates:
        """Puts a request back into the controls. Raises ShiftlabError where its settings are none of the method."""
        c = self.controls
        settings = settings_from(c.forms[told.method].settings_class, told.settings)
        known = {entry.key for entry in self.lab.edits() if entry.usable}
        keys = [key for key in told.edit_keys if key in known]
        session.picture = told.picture or session.picture  # the square that was edited then: no face is looked for in it
        reference, target = (getattr(settings, name, "") for name in ("reference_prompt", "target_prompt"))
        controls = {
            c.method: told.method,
            c.edit: gr.update(value=keys[0] if keys else None),
            c.mixed: gr.update(value=keys[1:]),
            c.reference: reference,
            c.target: target,
            c.preset: self._preset_name(reference, target),
            c.seed: told.seed,
            c.go: gr.update(value=EDIT if keys else TUNE),
            c.drop: shown(session.picture),
            c.message: _note(told, len(keys)),
        }
        return merged(self.choices(told.method), controls, self._show(told.method, settings.model_dump()))

    def _show(self, method: str, settings: dict[str, Any]) -> Updates:
        form = self.controls.forms[method]
        return dict(zip(form.outputs(), form.show(settings), strict=True))

    def _show_step(self, method: str, return_step: float | None) -> Updates:
        """The return step of a training or a preset, at the slider's nearest position: from there every picture is already inverted."""
        form = self.controls.forms[method]
        return self._show(method, {} if return_step is None else {"return_step": form.nearest("return_step", return_step)})

    def _preset_name(self, reference: str, target: str) -> str | None:
        preset = find_preset(self.presets, reference, target)
        return preset.name if preset else None

    def _match(self, method: str, reference: str, target: str) -> Updates:
        c = self.controls
        entry = edit_for(self.lab.edits(), method, reference, target)
        return {c.edit: gr.update(value=entry.key if entry else None), c.go: gr.update(value=EDIT if entry else TUNE), c.message: ""}


def _note(told: Recalled, found: int) -> str:
    if found < len(told.edit_keys):
        return alert("The edit of this picture is not here any more. Its settings are back, and the button trains it anew.", calm=True)
    if told.other_base:
        return alert("This picture was made on another base. Its settings are back; the result will differ.", calm=True)
    if told.picture is None:
        return alert("The settings of this picture are back. It does not carry its source, so the present one stays.", calm=True)
    return ""

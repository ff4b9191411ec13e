"""Choosing in the Edit tab: edit, preset, prompts and method keep each other in step, and requests come back into the controls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from ui.edit_layout import Controls
from ui.edit_method import GUIDANCE, RETURN_STEP, MethodView, brought
from ui.edit_show import Updates, alert, merged
from ui.forms import settings_from
from ui.methods import about, follows_prompts
from ui.prompts import find_preset, load_presets
from ui.requests import Recalled
from ui.session import Session
from ui.strip import shown

Values = Mapping[Component, Any]


class Chooser:
    """Event handlers; each takes the values by component and gives updates by component."""

    def __init__(self, lab: Any, controls: Controls, canvases: gr.Row) -> None:
        self.lab, self.controls = lab, controls
        self.view = MethodView(lab, controls, canvases)
        self.presets = load_presets()

    def choose_edit(self, values: Values) -> Updates:
        """An edit brings its prompts, the return step it was trained for and the guidance that suits it."""
        method, key = values[self.controls.method], values[self.controls.edit]
        return self.with_edit(method, key) if key else self.view.chosen(method, key)

    def with_edit(self, method: str, key: str | None) -> Updates:
        """As `choose_edit`, for a key; an edit of another base is refused by name."""
        c = self.controls
        entry = next((entry for entry in self.lab.edits() if entry.key == key), None)
        if entry is None:
            return {c.message: alert("This edit is gone. Choose another one.") if key else ""}
        if not entry.usable:
            return {c.edit: gr.update(value=None), c.message: alert(entry.why_not)}
        card = entry.card
        updates = self.view.chosen(method, key)
        updates = merged(updates, self._show(method, brought(self.controls.forms[method], card.settings)))
        return merged(updates, self._prompts(card.reference_prompt, card.target_prompt) if card.target_prompt else {})

    def choose_preset(self, values: Values) -> Updates:
        """A preset writes its prompts and chooses the edit that was trained for them, as that was trained; without one, its return step."""
        c, method = self.controls, values[self.controls.method]
        preset = next((preset for preset in self.presets if preset.name == values[c.preset]), None)
        if preset is None:
            return {c.message: ""}
        follows = follows_prompts(self.lab.methods[method])
        entry = self.view.of_prompts(method, preset.reference, preset.target) if follows else None
        if entry is not None:
            return self.with_edit(method, entry.key)
        given = {RETURN_STEP: preset.return_step} if follows else {}
        step = self._show(method, brought(c.forms[method], given, only=given))
        prompts = {c.reference: preset.reference, c.target: preset.target}
        return merged(prompts, step, self._match(values, preset.reference, preset.target))

    def write_prompts(self, values: Values) -> Updates:
        """Prompts that changed, by keys or by a paste: their edit is chosen, or the button offers to train one.

        An edit that has these very prompts stays chosen: it was it that wrote them.
        """
        c = self.controls
        chosen = next((entry for entry in self.lab.edits() if entry.key == values[c.edit]), None)
        written = (values[c.reference].strip(), values[c.target].strip())
        named = {c.preset: gr.update(value=self._preset_name(*written))}
        if chosen is not None and (chosen.card.reference_prompt, chosen.card.target_prompt) == written:
            return named
        return {**named, **self._match(values, *written)}

    def choose_method(self, values: Values) -> Updates:
        """The method decides which controls show, and which edits there are; one that suits the prompts is chosen, or else the first."""
        c, method = self.controls, values[self.controls.method]
        return self._enter(method, values[c.reference], values[c.target])

    def start(self, method: str) -> Updates:
        """The first preset's edit, or else the first that can be used; the first preset alone where there is none."""
        preset = self.presets[0]
        first = self.view.first(method, preset.reference, preset.target)
        if first is not None:
            return merged(self.view.appear(method), self.view.choices(method), self.with_edit(method, first.key))
        return merged(self._enter(method, preset.reference, preset.target), self._prompts(preset.reference, preset.target))

    def opened_with(self, method: str, key: str) -> Updates:
        """An edit that another tab handed over, with the method that uses it: its own, the one shown, or the first that takes it."""
        entry = next((entry for entry in self.lab.edits() if entry.key == key), None)
        if entry is not None:
            able = (entry.card.method, method, *self.controls.forms)
            method = next((name for name in able if name in self.controls.forms and about(name).edit.takes(entry.card, name)), method)
        return merged(self.view.appear(method), self.view.choices(method), self.with_edit(method, key))

    def refresh(self, values: Values) -> Updates:
        """When the tab is opened again: edits that were trained meanwhile are offered, and the choice stays while its base is loaded."""
        c, method = self.controls, values[self.controls.method]
        updates, entries = self.view.choices(method), {entry.key: entry for entry in self.lab.edits()}
        chosen = entries.get(values[c.edit])
        mixed = [key for key in values[c.mixed] or [] if key in entries and entries[key].usable]
        updates = merged(updates, {c.mixed: gr.update(value=mixed)})
        if chosen is not None and chosen.usable:
            return updates
        updates = merged(updates, self._match({**values, c.edit: None}, values[c.reference], values[c.target]))
        return updates | ({c.message: alert(chosen.why_not)} if chosen is not None else {})

    def recalled(self, session: Session, told: Recalled) -> Updates:
        """Puts a request back into the controls. Raises ShiftlabError where its settings are none of the method."""
        c = self.controls
        settings = settings_from(c.forms[told.method].settings_class, told.settings)
        known = {entry.key for entry in self.lab.edits() if entry.usable}
        keys = [key for key in told.edit_keys if key in known]
        session.picture = told.picture or session.picture  # the square that was edited then: no face is looked for in it
        session.drawing = told.drawing
        controls = {
            c.mixed: gr.update(value=keys[1:]),
            c.seed: told.seed,
            c.drop: shown(session.picture),
            c.message: _note(told, len(keys)),
        }
        prompts = self._prompts(*(getattr(settings, name, "") for name in ("reference_prompt", "target_prompt")))
        first = self.view.chosen(told.method, keys[0] if keys else None)
        form = self._show(told.method, settings.model_dump())
        return merged(self.view.appear(told.method), self.view.choices(told.method), first, prompts, controls, form)

    def _enter(self, method: str, reference: str, target: str) -> Updates:
        """A method with the edit of these prompts; without one, with its first, unless prompts alone say what is wanted."""
        choose = self.view.of_prompts if follows_prompts(self.lab.methods[method]) else self.view.first
        entry = choose(method, reference, target)
        shown = self.with_edit(method, entry.key) if entry else self.view.chosen(method, None)
        return merged(self.view.appear(method), self.view.choices(method), shown)

    def _match(self, values: Values, reference: str, target: str) -> Updates:
        """The edit of these prompts; where prompts choose nothing, the edit stays."""
        c, method = self.controls, values[self.controls.method]
        entry = self.view.of_prompts(method, reference, target)
        kept = None if follows_prompts(self.lab.methods[method]) else values[c.edit]
        chosen = self.view.chosen(method, entry.key if entry else kept)
        if entry is None:
            return chosen
        guidance = brought(self.controls.forms[method], entry.card.settings, only=(GUIDANCE,))  # the return step is the person's
        return merged(chosen, self._show(method, guidance))

    def _prompts(self, reference: str, target: str) -> Updates:
        c = self.controls
        preset = gr.update(value=self._preset_name(reference, target))
        return {c.reference: gr.update(value=reference), c.target: gr.update(value=target), c.preset: preset}

    def _show(self, method: str, settings: dict[str, Any]) -> Updates:
        form = self.controls.forms[method]
        return dict(zip(form.outputs(), form.show(settings), strict=True))

    def _preset_name(self, reference: str, target: str) -> str | None:
        preset = find_preset(self.presets, reference, target)
        return preset.name if preset else None


def _note(told: Recalled, found: int) -> str:
    if found < len(told.edit_keys):
        return alert("The edit of this picture is not here any more. Its settings are back, and the button trains it anew.", calm=True)
    if told.other_base:
        return alert("This picture was made on another base. Its settings are back; the result will differ.", calm=True)
    if told.picture is None:
        return alert("The settings of this picture are back. It does not carry its source, so the present one stays.", calm=True)
    return ""

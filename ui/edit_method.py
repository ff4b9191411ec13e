"""What the Edit tab shows of a method: its form, the edits that it works with, and what to do where one is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import gradio as gr

from ui.edit_layout import Controls
from ui.edit_show import Updates, alert
from ui.edit_strengths import has_strength
from ui.forms import Form
from ui.methods import TUNED, Slot, about, follows_prompts, line_html
from ui.prompts import same_words

EDIT = "Edit"
NONE = ""  # the choice of no edit, where a method does without
RETURN_STEP, GUIDANCE = "return_step", "attention_guidance"


def brought(form: Form, trained: Mapping[str, Any], only: Iterable[str] = (RETURN_STEP, GUIDANCE)) -> dict[str, Any]:
    """What an edit brings into a form, by the settings that trained it: its return step, beyond which it learned nothing, and the guidance
    that its samples were shown with, none where it names none. At the sliders' nearest positions: there every picture is already inverted.
    """
    values = {GUIDANCE: 0.0, **trained}
    return {name: form.nearest(name, values[name]) for name in only if values.get(name) is not None and name in form.components}


class MethodView:
    """Updates by component, from a method's name."""

    def __init__(self, lab: Any, controls: Controls, canvases: gr.Row) -> None:
        self.lab, self.controls, self.canvases = lab, controls, canvases

    def appear(self, method: str) -> Updates:
        """Its line, its form, and the choices that mean something to it."""
        c, told, settings_class = self.controls, about(method), self.lab.methods[method].edit_settings
        shown, chooses = "target_prompt" in settings_class.model_fields, follows_prompts(self.lab.methods[method])
        prompts = gr.update(visible=shown)
        more = {"visible": False} if told.more is None else {"visible": True, "label": told.more.label}
        return {
            c.method: method,
            c.line: line_html(method),
            **{column: gr.update(visible=key == method) for key, column in c.columns.items()},
            c.edit: gr.update(label=told.edit.label),
            c.mixed: gr.update(value=self.beside(method), **more),
            c.preset: gr.update(visible=shown, label="Prompts" if chooses else "Prompts, for S_dir alone"),
            **dict.fromkeys((c.reference, c.target), prompts),
            self.canvases: gr.update(visible=told.draws),
            c.strengths: gr.update(visible=has_strength(settings_class)),
        }

    def choices(self, method: str) -> Updates:
        """The lists of edits, fresh from disk."""
        told, entries = about(method), self.lab.edits()
        listed = self._listed(entries, told.edit, method)
        first = [] if told.required else [("None: the loaded base", NONE)]
        updates = {self.controls.edit: gr.update(choices=[*first, *listed, *self._refused(entries, told.edit, method)])}
        if told.more is not None:
            more = {"choices": self._listed(entries, told.more, method), "max_choices": told.more.most}
            updates[self.controls.mixed] = gr.update(**more)
        return updates

    def usable(self, method: str) -> list[Any]:
        """The edits that may be chosen first."""
        return [entry for entry in self.lab.edits() if entry.usable and about(method).edit.takes(entry.card, method)]

    def of_prompts(self, method: str, reference: str, target: str) -> Any | None:
        """The first usable edit whose card names these prompts."""
        for entry in self.usable(method):
            if same_words(entry.card.reference_prompt, reference) and same_words(entry.card.target_prompt, target):
                return entry
        return None

    def first(self, method: str, reference: str, target: str) -> Any | None:
        """The edit that a method opens with: that of these prompts, or else the first that can be used; None where there is none.

        Where it walks with a base that any method tuned, one that was tuned to pictures comes first: it draws out of noise by itself.
        """
        base = self._tuned_to_pictures() if about(method).edit.kind == "tuned" else None
        return base or self.of_prompts(method, reference, target) or next(iter(self.usable(method)), None)

    def beside(self, method: str) -> list[str]:
        """The keys that a method opens with beside its edit: the base that it is to walk with, and nothing to mix."""
        more = about(method).more
        base = self._tuned_to_pictures() if more is not None and more.kind == "tuned" else None
        return [base.key] if base else []

    def _tuned_to_pictures(self) -> Any | None:
        """The usable base that was tuned to most pictures, and to no words."""
        bases = [entry for entry in self.lab.edits() if entry.usable and TUNED.takes(entry.card, "") and not entry.card.target_prompt]
        return max(bases, key=lambda entry: entry.card.settings.get("images", 0), default=None)

    def chosen(self, method: str, key: str | None) -> Updates:
        """An edit, or none, and what the button then does."""
        c, told = self.controls, about(method)
        ready = bool(key) or not told.required
        said = ""
        if not ready and not follows_prompts(self.lab.methods[method]):
            name = type(self.lab.methods[method]).__name__
            wanted = told.edit.label[0].lower() + told.edit.label[1:]
            said = alert(f"{name} needs a {wanted}, and none is chosen. “{told.offer}” opens Tune with everything set.", calm=True)
        value = key or (None if told.required else NONE)
        return {c.edit: gr.update(value=value), c.go: gr.update(value=EDIT if ready else told.offer), c.message: said}

    def _listed(self, entries: list[Any], slot: Slot, method: str) -> list[tuple[str, str]]:
        def name(entry: Any) -> str:
            of = f" · {type(self.lab.methods[entry.card.method]).__name__}" if entry.card.method in self.lab.methods else ""
            yours = "" if entry.shipped else " (yours)"
            return f"{entry.name}{of if slot.kind == 'tuned' else ''}{yours}"

        return [(name(entry), entry.key) for entry in entries if entry.usable and slot.takes(entry.card, method)]

    def _refused(self, entries: list[Any], slot: Slot, method: str) -> list[tuple[str, str]]:
        return [(f"{entry.name} (for another base)", entry.key) for entry in entries if not entry.usable and slot.takes(entry.card, method)]

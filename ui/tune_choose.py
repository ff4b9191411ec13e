"""Choosing in the Tune tab: method, preset and pictures, by hand or as the Edit tab hands them over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from ui.edit_show import alert
from ui.methods import line_html
from ui.state import Shared
from ui.tune_layout import Controls, aims, image_choices, learns_source
from ui.tune_presets import Preset, preset_for, tune_presets
from ui.tune_request import Pictures, submit
from ui.tune_targets import target_choices

Values = Mapping[Any, Any]
Updates = dict[Any, Any]


class TuneChooser:
    """Event handlers; each takes the values by component and gives updates by component."""

    def __init__(self, lab: Any, shared: Shared, controls: Controls) -> None:
        self.lab, self.shared, self.controls = lab, shared, controls

    def choose_method(self, values: Values) -> Updates:
        """Another method: its form, and the first of its presets."""
        method = values[self.controls.method]
        return {self.controls.message: "", **self._method(method), **self._preset(method, next(iter(tune_presets(method).values()), None))}

    def choose_preset(self, values: Values) -> Updates:
        """The preset's values into the form, and where they come from."""
        method = values[self.controls.method]
        return self._preset(method, tune_presets(method).get(values[self.controls.preset] or ""))

    def handed(self, values: Values) -> Updates:
        """What the Edit tab carried over: the method with its prompts and return step, on the preset that suits them."""
        c, given = self.controls, values[self.shared.to_tune]
        if given is None or given.method not in c.forms:
            return {c.message: ""}
        prompts = [given.settings.get(name, "") for name in ("reference_prompt", "target_prompt")]
        preset = preset_for(tune_presets(given.method).values(), *prompts)
        said = "The prompts and the return step come from Edit." if any(prompts) else "Edit needs what this run trains."
        shown = {**self._method(given.method), **self._preset(given.method, preset, given.settings)}
        return {**shown, c.name: "", c.message: alert(f"{said} Press Start; “Try it” then leads back.", calm=True)}

    def new_sets(self, values: Values) -> Updates:
        """The Data tab's sets changed."""
        c, source, target = self.controls, values[self.shared.source] or [], values[self.shared.target] or []
        return {c.images: gr.update(choices=image_choices(len(source))), c.targets: gr.update(choices=target_choices(len(target)))}

    def pictures(self, values: Values) -> Pictures:
        """What is chosen to learn from and to aim at."""
        c, shared = self.controls, self.shared
        handed = values[shared.to_tune]
        source, target = (tuple(values[state] or ()) for state in (shared.source, shared.target))
        return Pictures(values[c.images], values[c.targets], source, target, handed.images if handed is not None else ())

    def submit(self, values: Values) -> str:
        """Puts the job into the queue and returns its id. Raises ShiftlabError for what is missing."""
        c = self.controls
        settings = c.forms[values[c.method]].read(values)
        return submit(self.lab, values[c.method], settings, values[c.name] or "", int(values[c.seed] or 0), self.pictures(values))

    def _method(self, method: str) -> Updates:
        """What shows of a method."""
        c, settings = self.controls, self.lab.methods[method].train_settings
        columns = {column: gr.update(visible=key == method) for key, pair in c.columns.items() for column in pair}
        shown = {c.images: gr.update(visible=learns_source(method)), c.targets: gr.update(visible=aims(method, settings))}
        return {c.method: method, c.line: line_html(method), **columns, **shown}

    def _preset(self, method: str, preset: Preset | None, more: Mapping[str, Any] | None = None) -> Updates:
        """A preset, with further values for the form."""
        c, form, names = self.controls, self.controls.forms[method], list(tune_presets(method))
        values = {**(preset.whole(form.settings_class) if preset else {}), **(more or {})}
        shown = form.show({name: value for name, value in values.items() if name in form.components})
        return {
            c.preset: gr.update(choices=names, value=preset and preset.name, visible=bool(names)),
            c.provenance: preset.html if preset else "",
            **({c.targets: gr.update(value=preset.target_images)} if preset and preset.target_images else {}),
            **dict(zip(form.outputs(), shown, strict=True)),
        }

"""Presets of a method's training settings: data files with their provenance, one file a method in assets/presets."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from core.types import Settings
from ui.prompts import same_words

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "presets"


@dataclass(frozen=True)
class Preset:
    """Values for some fields of the settings class; the others take their defaults, but what a visitor words stays.

    expected: time and memory, in words, or empty. target_images: which of `ui.tune_targets` it aims at; empty leaves the choice.
    """

    name: str
    settings: dict[str, Any]
    provenance: str
    expected: str = ""
    target_images: str = ""

    def whole(self, settings_class: type[Settings]) -> dict[str, Any]:
        """Its values, and the defaults of all other fields but the prompts and the token: nothing of another preset is left."""
        worded = [name for name in settings_class.model_fields if name == "token" or name.endswith("_prompt")]
        return {**settings_class().model_dump(exclude=set(worded)), **self.settings}

    @property
    def html(self) -> str:
        """Where it comes from, and what to expect."""
        expected = f" Expect {escape(self.expected)}." if self.expected else ""
        return f'<p class="help">{escape(self.provenance)}{expected}</p>'


def tune_presets(method: str, folder: Path = FOLDER) -> dict[str, Preset]:
    """By name, in the order of the file; none for a method without one."""
    path = folder / f"{method}.json"
    entries = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return {entry["name"]: Preset(**entry) for entry in entries}


def preset_for(presets: Iterable[Preset], reference: str, target: str) -> Preset | None:
    """The preset of these prompts, else the first that leaves the prompts open."""
    listed = list(presets)
    for preset in listed:
        given = preset.settings
        if same_words(given.get("reference_prompt", ""), reference) and same_words(given.get("target_prompt", ""), target):
            return preset
    return next((preset for preset in listed if "target_prompt" not in preset.settings), None)

"""Presets of a method's training settings: data files with their provenance, one file a method in assets/presets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "presets"


@dataclass(frozen=True)
class Preset:
    """Values for some fields of the settings class; the others stay as they are. expected: time and memory, in words, or empty."""

    name: str
    settings: dict[str, Any]
    provenance: str
    expected: str = ""

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

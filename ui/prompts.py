"""Prompt presets, and which edit belongs to a pair of prompts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

from core.models.clip import Clip
from core.types import ShiftlabError

PRESETS = Path(__file__).resolve().parents[1] / "assets" / "presets" / "prompts.json"


@dataclass(frozen=True)
class PromptPreset:
    """A pair of prompts with the return step that its provenance names."""

    name: str
    reference: str
    target: str
    return_step: int
    provenance: str


def load_presets(path: Path = PRESETS) -> list[PromptPreset]:
    """The presets of the data file, in its order."""
    return [PromptPreset(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]


def find_preset(presets: Iterable[PromptPreset], reference: str, target: str) -> PromptPreset | None:
    """The preset with these prompts, if there is one."""
    return next((preset for preset in presets if same_words(preset.reference, reference) and same_words(preset.target, target)), None)


def check_prompts(reference: str, target: str, clip: Clip | None = None) -> None:
    """Raises ShiftlabError where a fine-tuning could not know what to aim for; with a small CLIP, where that sees no difference either."""
    if not target.strip():
        raise ShiftlabError("The target prompt is empty. Say what the picture should become, such as “a pencil sketch of a person”.")
    if not reference.strip():
        raise ShiftlabError("The reference prompt is empty. Say what the picture is now, such as “a photo of a person”.")
    if same_words(reference, target):
        raise ShiftlabError("Both prompts say the same, so there is no direction between them. Change the target prompt.")
    if clip is not None and clip.least_direction:
        clip.text_direction(reference, target)


def same_words(one: str, other: str) -> bool:
    """Equal but for case, spaces and a full stop at the end."""
    return " ".join(one.casefold().split()).rstrip(".") == " ".join(other.casefold().split()).rstrip(".")


def strange_words_html(clip: Clip | None, prompt: str) -> str:
    """What the loaded CLIP does not read in a prompt."""
    words = clip.strange_words(prompt) if clip is not None else []
    if not words:
        return ""
    quoted = ", ".join(f"“{escape(word)}”" for word in words)
    which = "this word" if len(words) == 1 else "these words"
    return f'<p class="help">{escape(clip.name)} passes over {quoted}: it was never taught {which}.</p>'

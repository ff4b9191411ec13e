"""What a file or folder that somebody brings was found to be, before it is trusted with anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["folder", "ddpm", "guided", "asyrp", "edit", "clip", "identity", "text_to_image"]
ENABLES = {
    "folder": "a base: everything that the lab does with a diffusion model",
    "ddpm": "a base, or, where its base is named, an edit of DiffusionCLIP",
    "guided": "a base, or, where its base is named, an edit of DiffusionCLIP",
    "asyrp": "an edit of Asyrp, on the base that it was trained for",
    "edit": "an edit, on the base that its card names",
    "clip": "the CLIP model: directions between prompts, and the score S_dir",
    "identity": "the identity encoder: the identity score, and its loss in fine-tuning",
    "text_to_image": "the text-to-image model: DATUM, on one image",
}


@dataclass(frozen=True)
class Facts:
    """What a file or folder is. bytes: on disk; fingerprint: of the weights, empty for an edit; details: name → value, in words.

    said: what the file left open and its bringer stated (`inspect`'s keyword arguments); importing it needs the same again.
    """

    kind: Kind
    title: str
    path: Path
    bytes: int
    parameters: int
    fingerprint: str = ""
    details: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def enables(self) -> str:
        return ENABLES[self.kind]


def bytes_of(path: Path) -> int:
    """Bytes on disk of a file, or of all files in a folder."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())

"""Floor and ceiling of an identity encoder, measured on pictures whose people are known. A cosine means little without them.

What was measured is kept in the home, in bounds.json, by the encoder's fingerprint: the model's own files stay as they came.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from core.data.images import decode_image
from core.data.text_files import write_text
from core.models.align import as_seen, frames
from core.models.identity import Identity
from core.types import ShiftlabError, StepEvent

ALIGNED_SIZE = 256  # pixels; CelebA-HQ's frame as the bases see it
KEPT_IN = "bounds.json"


@dataclass(frozen=True)
class Bounds:
    """ceiling: mean score of two pictures of one person; floor: of two people. lowest_same and highest_other: the extremes of both.

    skipped: pictures without a face, or that could not be read.
    """

    ceiling: float
    floor: float
    lowest_same: float
    highest_other: float
    people: int
    pictures: int
    skipped: int = 0

    def said(self) -> str:
        """In a sentence or two."""
        left_out = f" {self.skipped} left out, unreadable or without a face." if self.skipped else ""
        return (
            f"Measured here on {self.pictures} pictures of {self.people} people: {self.ceiling:.2f} for the same person "
            f"(at least {self.lowest_same:.2f}), {self.floor:.2f} for two (at most {self.highest_other:.2f}).{left_out}"
        )


def bounds_of(embeddings: Tensor, people: Sequence[str], skipped: int = 0) -> Bounds:
    """From unit embeddings `(N, D)` and each one's person. Raises ShiftlabError without two people, or without two pictures of one."""
    names = sorted(set(people))
    index = torch.tensor([names.index(name) for name in people])
    upper = torch.ones(len(people), len(people), dtype=torch.bool).triu(1)  # each pair once
    same = index[:, None] == index[None]
    scores = embeddings.cpu() @ embeddings.cpu().T
    of_one, of_two = scores[upper & same], scores[upper & ~same]
    if not len(of_one) or not len(of_two):
        raise ShiftlabError("Floor and ceiling need at least two people, and two pictures of one of them. Add some.")
    return Bounds(
        of_one.mean().item(), of_two.mean().item(), of_one.min().item(), of_two.max().item(), len(names), len(people), skipped
    )  # fmt: skip


def measure_bounds(
    identity: Identity, folder: Path, align: bool = True, lock: AbstractContextManager[Any] | None = None
) -> Generator[StepEvent, None, Bounds]:
    """Yields a "measure" event a picture and returns floor and ceiling on a folder with one folder a person, its pictures in it.

    align: photographs are brought to CelebA-HQ's frame, and those without a face are left out; False takes every picture whole.
    lock: taken for one picture at a time. Raises ShiftlabError where there are too few pictures that can be used.
    """
    if not Path(folder).is_dir():
        raise ShiftlabError(f"There is no folder at {folder}. Name one with a folder for each person.")
    paths = sorted(path for path in Path(folder).glob("*/*") if path.is_file())
    embeddings, people = [], []
    for number, path in enumerate(paths, start=1):
        picture = _picture(path, align)
        if picture is not None:
            with lock or nullcontext(), torch.inference_mode():
                embeddings.append(identity.embed(picture).cpu())
            people.append(path.parent.name)
        yield StepEvent("measure", number, len(paths))
    if not embeddings:
        raise ShiftlabError(f"No face was found in {Path(folder).name!r}. It needs one folder a person, with photographs in it.")
    return bounds_of(torch.cat(embeddings), people, len(paths) - len(people))


def keep_bounds(home: Path, identity: Identity, bounds: Bounds) -> None:
    """Remembers what was measured, in place of what was known of this encoder."""
    path = Path(home) / KEPT_IN
    kept = {**_kept(home), identity.fingerprint: {"name": identity.name, **asdict(bounds)}}
    write_text(path, json.dumps(kept, indent=2) + "\n")


def with_kept_bounds(identity: Identity, home: Path) -> Identity:
    """The encoder itself, with the floor and ceiling that were measured in this home, if they were; its card then says so."""
    kept = _kept(home).get(identity.fingerprint)
    if kept:
        bounds = Bounds(**{name: kept[name] for name in Bounds.__dataclass_fields__})
        identity.ceiling, identity.floor = bounds.ceiling, bounds.floor
        identity.card = {**identity.card, "ceiling": bounds.ceiling, "floor": bounds.floor, "bounds": bounds.said()}
    return identity


def _kept(home: Path) -> dict[str, Any]:
    """A file that is missing or damaged means that nothing was measured."""
    try:
        kept = json.loads((Path(home) / KEPT_IN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _picture(path: Path, align: bool) -> Tensor | None:
    """`(1, 3, 256, 256)` in [-1, 1], or None where it cannot be read or shows no face."""
    try:
        image: Image.Image = decode_image(path)
    except ShiftlabError:
        return None
    frame = next(iter(frames(image)), None) if align else None
    return None if align and frame is None else as_seen(image, frame, ALIGNED_SIZE)

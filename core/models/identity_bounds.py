"""Floor and ceiling of an identity encoder, measured on pictures whose people are known. A cosine means little without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from core.data.images import decode_image
from core.models.align import as_seen, frames
from core.models.identity import Identity
from core.types import ShiftlabError

ALIGNED_SIZE = 256  # pixels; CelebA-HQ's frame as the bases see it
BATCH = 16


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


def measure_bounds(identity: Identity, folder: Path, align: bool = True) -> Bounds:
    """Floor and ceiling on a folder with one folder a person, its pictures in it.

    align: photographs are brought to CelebA-HQ's frame, and those without a face are left out; False takes every picture whole.
    """
    seen, people, skipped = [], [], 0
    for path in sorted(path for path in Path(folder).glob("*/*") if path.is_file()):
        picture = _picture(path, align)
        if picture is None:
            skipped += 1
            continue
        seen.append(picture)
        people.append(path.parent.name)
    if not seen:
        raise ShiftlabError(f"No face was found in {Path(folder).name!r}. It needs one folder a person, with photographs in it.")
    with torch.inference_mode():
        embeddings = torch.cat([identity.embed(batch).cpu() for batch in torch.cat(seen).split(BATCH)])
    return bounds_of(embeddings, people, skipped)


def _picture(path: Path, align: bool) -> Tensor | None:
    """`(1, 3, 256, 256)` in [-1, 1], or None where it cannot be read or shows no face."""
    try:
        image: Image.Image = decode_image(path)
    except ShiftlabError:
        return None
    frame = next(iter(frames(image)), None) if align else None
    return None if align and frame is None else as_seen(image, frame, ALIGNED_SIZE)

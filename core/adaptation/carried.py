"""Labelled source scenes carried to the target, written as a labelled set: what a segmenter can learn from as if the target had labels.

Squares of the model's size are cut from the training scenes in turn and carried (core/methods/datum_carry.py), their edges kept. Picture k
depends on the source, the models, the settings and k alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.data.images import to_pils, whole_tensor
from core.data.mask_classes import CLASSES_FILE
from core.data.segmented import SegmentedImage, SegmentedSet
from core.data.segmented_write import Scene, is_written, write_segmented
from core.methods.datum_carry import CarrySettings, carry, edged, recoloured
from core.models.text_to_image import TextToImage
from core.process.seeds import seed_of
from core.types import Context, ShiftlabError, StepEvent

BATCH = 16  # scenes carried at once
SPLIT = "train"  # of the source, and of what is made


@dataclass(frozen=True)
class Carrying:
    """source: labelled, with a train split. personalised: `model` as it learned the target, whose prompt is target_prompt."""

    source: SegmentedSet
    model: TextToImage
    personalised: TextToImage
    target_prompt: str
    settings: CarrySettings

    def check_large(self) -> None:
        """Raises ShiftlabError where none of the large classes is one of the set's."""
        known, names = self.source.classes.classes, self.settings.large_classes()
        if any(name in known for name in names):
            return
        raise ShiftlabError(
            f"None of the large classes ({', '.join(names)}) is in the source set, which has {', '.join(known)}. Name some of these."
        )


def is_carried(out: Path) -> bool:
    """Whether the folder holds a whole carried set."""
    return (out / CLASSES_FILE).is_file()


def carry_scenes(carrying: Carrying, out: Path, context: Context) -> Iterator[StepEvent]:
    """Writes the set (see core/data/segmented_write.py) and yields a "carry" event a batch, counting pictures; what is there stays.

    Event numbers: images_per_s, seconds_left. Raises ShiftlabError as `Carrying.check_large` and for a source without a train split,
    Stopped when asked to stop.
    """
    carrying.check_large()
    if not carrying.source.split(SPLIT):
        raise ShiftlabError("The source set has no train split, so there is nothing to carry. Draw a split first.")
    total = carrying.settings.scenes
    missing = [k for k in range(total) if not is_written(out, _name(k), SPLIT)]
    resumed = total - len(missing)
    yield StepEvent("carry", resumed, total, note=f"{resumed} of {total} scenes were there already." if resumed else "")
    began = time.perf_counter()
    for count in write_segmented(out, _scenes(carrying, missing, context), carrying.source.classes):
        if count % BATCH and count < len(missing):
            continue
        pace = count / (time.perf_counter() - began)
        yield StepEvent("carry", resumed + count, total, {"images_per_s": pace, "seconds_left": (len(missing) - count) / pace})


def _name(k: int) -> str:
    return f"{k:05d}"


def _scenes(carrying: Carrying, wanted: list[int], context: Context) -> Iterator[Scene]:
    items, settings = carrying.source.split(SPLIT), carrying.settings
    for begin in range(0, len(wanted), BATCH):
        places = wanted[begin : begin + BATCH]
        squares = [_square(carrying, items[k % len(items)], k) for k in places]
        x = torch.stack([image for image, _ in squares])
        after = edged(carry(carrying.model, carrying.personalised, x, carrying.target_prompt, settings, context).cpu(), x)
        own = settings.contrast * torch.tensor([_share(k) for k in places])[:, None, None, None]
        after = torch.lerp(after, recoloured(x, after), own)
        for k, image, (_, mask) in zip(places, to_pils(after), squares, strict=True):
            yield Scene(_name(k), image, mask.numpy().astype(np.uint8), SPLIT)


def _share(k: int) -> float:
    """Of picture k, from 0 to 1."""
    return float(torch.rand((), generator=torch.Generator().manual_seed(seed_of(k, 1))))


def _square(carrying: Carrying, item: SegmentedImage, k: int) -> tuple[Tensor, Tensor]:
    """A square of a scene as high, or as wide, as it is: (image `(3, S, S)` in [-1, 1], class numbers `(S, S)`)."""
    picture, mask = carrying.source.picture(item), Image.fromarray(carrying.source.mask(item))
    side, size = min(picture.size), (carrying.model.image_size,) * 2
    generator = torch.Generator().manual_seed(k)
    left, top = (int(torch.randint(length - side + 1, (), generator=generator)) for length in picture.size)
    box = (left, top, left + side, top + side)
    image = picture.resize(size, Image.Resampling.LANCZOS, box)
    return whole_tensor(image), torch.from_numpy(np.array(mask.resize(size, Image.Resampling.NEAREST, box))).long()

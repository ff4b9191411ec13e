"""A segmentation set as pixels on disk: decoded once, then mapped, so that training needs the memory of one batch.

All pictures of a set get one size: the given height, and the width that the set's first picture has then. Others are cut to that shape,
around their middle; masks in the same way as their pictures, without mixing values.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from core.adaptation.segmenter import places_of
from core.data.mask_classes import IGNORE
from core.data.segmented import SegmentedImage, SegmentedSet
from core.types import ShiftlabError, StepEvent

EVERY = 64  # pictures between two events


@dataclass(frozen=True)
class Scenes:
    """n pictures, mapped: images uint8 `(n, 3, H, W)`, masks uint8 `(n, H, W)` of class places (IGNORE: none), None where unlabelled.

    counts `(n, classes)`: pixels of each class in each picture.
    """

    images: np.ndarray
    masks: np.ndarray | None
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def picture(self, place: int) -> Tensor:
        """`(3, H, W)` in [-1, 1]."""
        return as_floats(torch.from_numpy(np.array(self.images[place])))

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All in order: (x `(B, 3, H, W)` in [-1, 1], y `(B, H, W)` uint8). Only of labelled scenes."""
        for begin in range(0, len(self), size):
            part = slice(begin, begin + size)
            yield as_floats(torch.from_numpy(np.array(self.images[part]))), torch.from_numpy(np.array(self.masks[part]))


def as_floats(pixels: Tensor) -> Tensor:
    """uint8 → float32 in [-1, 1]."""
    return pixels.float().div_(127.5).sub_(1.0)


def mapped_scenes(
    found: SegmentedSet, items: Sequence[SegmentedImage], names: Sequence[str], height: int, path: Path
) -> Generator[StepEvent, None, Scenes]:
    """Yields "read" events and returns these items' scenes, from files beginning with `path` or written there now.

    names: the segmenter's classes, by place. Raises ShiftlabError where no picture shows any of them.
    """
    files = {part: path.with_name(f"{path.name}-{height}-{part}.npy") for part in ("images", "masks", "counts")}
    if not items[0].mask:
        del files["masks"]
    if not all(file.is_file() for file in files.values()):
        yield from _write(found, items, names, height, files)
    masks = np.load(files["masks"], mmap_mode="r") if "masks" in files else None
    return Scenes(np.load(files["images"], mmap_mode="r"), masks, np.load(files["counts"]))


def check_crop(scenes: Scenes, crop: int, what: str) -> None:
    """Raises ShiftlabError where a picture has no room for the crop."""
    height, width = scenes.images.shape[-2:]
    if min(height, width) < crop:
        raise ShiftlabError(
            f"The crop of {crop} px is larger than {what}, {width} × {height} px at the chosen height. "
            "Choose a smaller crop, or a larger height."
        )


def _write(
    found: SegmentedSet, items: Sequence[SegmentedImage], names: Sequence[str], height: int, files: dict[str, Path]
) -> Iterator[StepEvent]:
    """Writes beside, and moves all files into place at the end. Where there are masks, files has a place for them."""
    files["images"].parent.mkdir(parents=True, exist_ok=True)
    unfinished = {part: path.with_name(f".{uuid.uuid4().hex}.npy") for part, path in files.items()}
    try:
        yield from _fill(found, items, names, height, unfinished)
        for part, path in unfinished.items():
            os.replace(path, files[part])
    finally:
        for path in unfinished.values():
            path.unlink(missing_ok=True)


def _fill(
    found: SegmentedSet, items: Sequence[SegmentedImage], names: Sequence[str], height: int, files: dict[str, Path]
) -> Iterator[StepEvent]:
    table, labelled = places_of(names, found.classes, IGNORE).numpy(), "masks" in files
    nothing = ShiftlabError(f"The set {found.source} shows none of the source's classes ({', '.join(names)}). Name its classes so.")
    if labelled and (table == IGNORE).all():
        raise nothing
    size = _size(found.picture(items[0]), height)
    images = np.lib.format.open_memmap(files["images"], "w+", np.uint8, (len(items), 3, size[1], size[0]))
    masks = np.lib.format.open_memmap(files["masks"], "w+", np.uint8, (len(items), size[1], size[0])) if labelled else None
    counts = np.zeros((len(items), len(names)), np.int64)
    for place, item in enumerate(items):
        images[place] = np.moveaxis(np.asarray(ImageOps.fit(found.picture(item), size, Image.Resampling.LANCZOS)), -1, 0)
        if masks is not None:
            masks[place] = np.asarray(ImageOps.fit(Image.fromarray(table[found.mask(item)]), size, Image.Resampling.NEAREST))
            counts[place] = np.bincount(masks[place].ravel(), minlength=IGNORE + 1)[: len(names)]
        if (place + 1) % EVERY == 0 or place + 1 == len(items):
            yield StepEvent("read", place + 1, len(items))
    if labelled and not counts.any():
        raise nothing
    np.save(files["counts"], counts)


def _size(image: Image.Image, height: int) -> tuple[int, int]:
    """(width, height) of a set whose first picture this is."""
    return max(1, round(image.width * height / image.height)), height

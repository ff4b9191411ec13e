"""A labelled set as pixels on disk: decoded once, then mapped, so that an epoch over 100,000 pictures needs the memory of one batch."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.data.images import to_tensor
from core.data.labelled import LabelledImage, LabelledSet
from core.types import ShiftlabError, StepEvent

EVERY = 256  # pictures between two events


@dataclass(frozen=True)
class Pictures:
    """n pictures with their classes. arrays: mapped pixels, each uint8 `(·, 3, size, size)`; picture i is row `rows[i]` of
    `arrays[which[i]]`; y `(n,)` are places in the list of classes.
    """

    arrays: tuple[np.ndarray, ...]
    which: np.ndarray
    rows: np.ndarray
    y: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def __add__(self, other: Pictures) -> Pictures:
        """These, then the others."""
        which = np.concatenate([self.which, other.which + len(self.arrays)])
        return Pictures(self.arrays + other.arrays, which, np.concatenate([self.rows, other.rows]), torch.cat([self.y, other.y]))

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """(x `(B, 3, size, size)` in [-1, 1], y `(B,)`) of these places."""
        places = index.numpy()
        pixels = np.stack([self.arrays[self.which[i]][self.rows[i]] for i in places])
        return torch.from_numpy(pixels).float().div_(127.5).sub_(1.0), self.y[index]

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All of them in order."""
        for index in torch.arange(len(self)).split(size):
            yield self.batch(index)


def mapped(labelled: LabelledSet, size: int, path: Path) -> Generator[StepEvent, None, np.ndarray]:
    """Yields "read" events and returns the pixels of all the set's pictures, in order, from `path` (.npy) or written there now."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{uuid.uuid4().hex}.npy")
        try:
            pixels = np.lib.format.open_memmap(temporary, "w+", np.uint8, (len(labelled), 3, size, size))
            for place, item in enumerate(labelled.items):
                pixels[place] = _bytes(labelled, item, size)
                if (place + 1) % EVERY == 0 or place + 1 == len(labelled):
                    yield StepEvent("read", place + 1, len(labelled))
            pixels.flush()
            del pixels
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    return np.load(path, mmap_mode="r")


def chosen(
    pixels: np.ndarray, labelled: LabelledSet, column: str, classes: Sequence[str], split: str, without: Collection[str] = ()
) -> Pictures:
    """The pictures of one split that have a label in the column, but for those whose names are in `without`.

    Raises ShiftlabError for a label that is none of the classes.
    """
    place, dropped = labelled.column(column), frozenset(without)
    rows = [k for k, item in enumerate(labelled.items) if item.split == split and item.labels[place] and item.name not in dropped]
    labels = [labelled.items[k].labels[place] for k in rows]
    unknown = sorted(set(labels) - set(classes))
    if unknown:
        raise ShiftlabError(f"The set has the label {unknown[0]!r} in {column}, which the source lacks ({', '.join(classes)}). Rename it.")
    y = torch.tensor([classes.index(label) for label in labels], dtype=torch.long)
    return Pictures((pixels,), np.zeros(len(rows), dtype=np.int64), np.array(rows, dtype=np.int64), y)


def _bytes(labelled: LabelledSet, item: LabelledImage, size: int) -> np.ndarray:
    """`(3, size, size)` uint8, cut and resized as everywhere in the house."""
    return to_tensor([labelled.picture(item)], size)[0].add(1).mul(127.5).round().to(torch.uint8).numpy()

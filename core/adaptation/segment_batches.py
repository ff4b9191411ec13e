"""Crops to learn from, every draw of which depends on a generator alone: rare-class sampling for the source, plain for the target.

Rare-class sampling (Hoyer et al., "DAFormer", CVPR 2022, section 3.3): a class c of pixel frequency f_c is drawn with
P(c) = softmax((1 − f_c) / T), then a picture that shows it, then a crop in which it is seen.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from core.adaptation.segment_pixels import Scenes, as_floats

IN_CROP = 0.5  # of that share, what must be in the crop itself
TRIES = 10  # crops drawn for it


class RareClasses:
    """Which pictures are drawn how often. scenes are labelled; temperature 0: all pictures alike.

    seen: share of a crop's area that a class has at least in a picture that shows it.
    """

    def __init__(self, scenes: Scenes, crop: int, temperature: float, seen: float) -> None:
        self.scenes, self.crop, self.least = scenes, crop, seen * crop * crop
        self.share = class_shares(scenes.counts, temperature) if temperature else None

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Crops (x `(count, 3, crop, crop)` in [-1, 1], y `(count, crop, crop)` uint8 class places)."""
        return _stacked([self._one(generator) for _ in range(count)])

    def _one(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if self.share is None:
            return cut(self.scenes, _any(len(self.scenes), generator), self.crop, generator)
        wanted = int(torch.multinomial(self.share, 1, generator=generator))
        place = self._showing(wanted, generator)
        for _ in range(TRIES):
            image, mask = cut(self.scenes, place, self.crop, generator)
            if int((mask == wanted).sum()) > IN_CROP * self.least:
                break
        return image, mask

    def _showing(self, wanted: int, generator: torch.Generator) -> int:
        """A picture in which the class is large enough to be seen; where there is none, one that has it at all."""
        pixels = self.scenes.counts[:, wanted]
        found = np.flatnonzero(pixels > self.least)
        found = found if len(found) else np.flatnonzero(pixels)
        return int(found[_any(len(found), generator)])


def class_shares(counts: np.ndarray, temperature: float) -> Tensor:
    """P `(classes,)` from pixels `(n, classes)`; 0 for a class that is nowhere."""
    pixels = torch.from_numpy(counts.sum(axis=0)).double()
    rarity = (1 - pixels / pixels.sum()) / temperature
    return rarity.masked_fill(pixels == 0, -torch.inf).softmax(dim=0)


def labelled(scenes: Scenes, count: int, crop: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Crops of labelled pictures, all alike: (x `(count, 3, crop, crop)` in [-1, 1], y `(count, crop, crop)` uint8 class places)."""
    return _stacked([cut(scenes, _any(len(scenes), generator), crop, generator) for _ in range(count)])


def plain(scenes: Scenes, count: int, crop: int, generator: torch.Generator) -> Tensor:
    """Crops of unlabelled pictures, all alike: `(count, 3, crop, crop)` in [-1, 1]."""
    return labelled(scenes, count, crop, generator)[0]


def cut(scenes: Scenes, place: int, crop: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One crop, mirrored in half of the cases: (image `(3, crop, crop)` uint8, mask `(crop, crop)` uint8, empty where unlabelled)."""
    height, width = scenes.images.shape[-2:]
    top, left = _any(height - crop + 1, generator), _any(width - crop + 1, generator)
    where = (..., slice(top, top + crop), slice(left, left + crop))
    image = torch.from_numpy(np.array(scenes.images[place][where]))
    mask = torch.from_numpy(np.array(scenes.masks[place][where])) if scenes.masks is not None else torch.zeros(0, dtype=torch.uint8)
    if _any(2, generator):
        image, mask = image.flip(-1), mask.flip(-1)
    return image, mask


def _stacked(crops: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return as_floats(torch.stack([image for image, _ in crops])), torch.stack([mask for _, mask in crops])


def _any(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))

"""The paired pictures that only a drawn world can give: one portrait in every domain, and once more with one attribute changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.pretrain.dataset import rendered
from core.worlds import portraits as world

PORTRAITS, PORTRAITS_SEED = 2400, 101  # those that CLIP and the judge learn from, so that they are drawn once


def toggled(portraits: world.Portraits, seed: int) -> tuple[world.Portraits, Tensor]:
    """The same pictures with one attribute of each flipped, and which one: indices `(n,)` into ATTRIBUTES."""
    which = torch.from_numpy(np.random.default_rng([seed, 7]).integers(0, len(world.ATTRIBUTES), len(portraits)))
    rows = torch.arange(len(portraits))
    attributes = portraits.attributes.clone()
    attributes[rows, which] = ~attributes[rows, which]
    return replace(portraits, attributes=attributes), which


@dataclass(frozen=True)
class PairedSet:
    """n portraits in every domain, plain and with one attribute flipped.

    plain, flipped: by domain, uint8 `(n, 3, 64, 64)`; attributes, flipped_attributes: `(n, 6)` bool; which: `(n,)` the flipped attribute.
    """

    portraits: world.Portraits
    plain: dict[str, np.ndarray]
    flipped: dict[str, np.ndarray]
    which: Tensor

    def __len__(self) -> int:
        return len(self.portraits)


def paired_set(count: int, seed: int, cache: Path) -> PairedSet:
    """Drawn on first use (about 45 pictures a second on one core, ten a portrait), then mapped from the cache folder."""
    portraits = world.sample(count, seed)
    others, which = toggled(portraits, seed)
    plain = {domain: rendered(portraits, domain, cache) for domain in world.DOMAINS}
    flipped = {domain: rendered(others, domain, cache) for domain in world.DOMAINS}
    return PairedSet(portraits, plain, flipped, which)

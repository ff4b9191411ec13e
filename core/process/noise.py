"""Noise that belongs to an item, not to a batch: every item has its own generator, so a batch gives what its members give alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class ItemNoise:
    """One random generator for each seed. The generators live on the CPU, so the same seed gives the same noise on every device."""

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]

    def normal(self, shape_of_one: Sequence[int]) -> Tensor:
        """The next standard normal draw of every item, float32 `(len(seeds), *shape_of_one)`."""
        return torch.stack([torch.randn(tuple(shape_of_one), generator=g) for g in self.generators]).to(self.device)

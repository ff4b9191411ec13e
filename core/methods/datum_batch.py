"""What a personalisation learns from at each update: random crops of the target images, and latents of class images, all noised.

Every update draws from a generator seeded by (seed, step), so that it depends on nothing that went before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.models.text_to_image import TextToImage
from core.process.ddim import add_noise
from core.process.noise import ItemNoise
from core.process.seeds import seed_of
from core.types import ShiftlabError


@dataclass(frozen=True)
class Noised:
    """Latents z0, their noise, and z = z_t, each `(B, C, h, w)`; t long `(B,)`."""

    z0: Tensor
    t: Tensor
    noise: Tensor
    z: Tensor


@dataclass(frozen=True)
class Batch:
    """crops `(B, 3, S, S)` in [-1, 1], their latents, and latents of class images where there are any."""

    crops: Tensor
    target: Noised
    kept: Noised | None = None


class Batches:
    """shots: target images `(3, h, w)` in [-1, 1], any size from the model's on; kept: latents of class images `(N, C, h, w)` or None."""

    def __init__(self, model: TextToImage, shots: Sequence[Tensor], kept: Tensor | None, size: int, seed: int) -> None:
        self.model, self.shots, self.kept, self.size, self.seed = model, shots, kept, size, seed

    @torch.no_grad()
    def at(self, step: int) -> Batch:
        """The batch of update `step`, from 0."""
        generator = torch.Generator().manual_seed(seed_of(self.seed, step))
        crops = torch.stack([self._crop(generator) for _ in range(self.size)])
        seeds = torch.randint(2**31, (self.size,), generator=generator).tolist()
        target = self._noised(self.model.to_latents(crops, ItemNoise(seeds, self.model.device)), generator)
        if self.kept is None:
            return Batch(crops, target)
        chosen = self.kept[torch.randint(len(self.kept), (self.size,), generator=generator)]
        return Batch(crops, target, self._noised(chosen.to(self.model.device), generator))

    def _crop(self, generator: torch.Generator) -> Tensor:
        side = self.model.image_size
        shot = self.shots[int(torch.randint(len(self.shots), (), generator=generator))]
        top, left = (int(torch.randint(length - side + 1, (), generator=generator)) for length in shot.shape[-2:])
        return shot[:, top : top + side, left : left + side].to(self.model.device)

    def _noised(self, z0: Tensor, generator: torch.Generator) -> Noised:
        t = torch.randint(self.model.schedule.num_steps, (len(z0),), generator=generator).to(z0.device)
        noise = torch.randn(z0.shape, generator=generator).to(z0.device)
        return Noised(z0, t, noise, add_noise(z0, t, noise, self.model.schedule))


def resized(shot: Tensor, short_side: int | None, crop: int) -> Tensor:
    """The image `(3, H, W)` with that short side, twice the crop for None. Raises ShiftlabError where either is smaller than the crop."""
    height, width = shot.shape[-2:]
    if min(height, width) < crop:
        raise ShiftlabError(
            f"The target image is {width}×{height} pixels, smaller than the model's crops of {crop}×{crop}. Take a larger one."
        )
    short_side = short_side or 2 * crop
    if short_side < crop:
        raise ShiftlabError(f"A short side of {short_side} pixels has no room for the model's crops of {crop}×{crop}. Raise it.")
    scale = short_side / min(height, width)
    size = (round(height * scale), round(width * scale))
    return F.interpolate(shot[None], size=size, mode="bicubic", antialias=True)[0].clamp(-1.0, 1.0)

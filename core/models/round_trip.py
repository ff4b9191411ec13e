"""How well a base reconstructs: image → latent → image. And what reduced precision of the network costs there.

Only the network ever runs in reduced precision; DDIM's state stays float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.models.base import Base
from core.process.sampling import generate, invert, last
from core.process.timesteps import paper_timesteps


def round_trip(base: Base, images: Tensor, t0: int, steps: int, generation_steps: int | None = None) -> Tensor:
    """images `(B, 3, H, W)` inverted to t0 in `steps` and generated back in `generation_steps` (the same number unless given)."""
    latent = last(invert(base.eps, images, paper_timesteps(steps, t0), base.schedule))
    return last(generate(base.eps, latent, paper_timesteps(generation_steps or steps, t0), base.schedule))


def round_trip_psnr(base: Base, images: Tensor, t0: int = 601, steps: int = 40, generation_steps: int | None = None) -> float:
    """PSNR in dB of the round trip, averaged over the images; the range of [-1, 1] is 2, and images are clamped to it first."""
    error = (round_trip(base, images, t0, steps, generation_steps).clamp(-1, 1) - images).square().mean(dim=(1, 2, 3))
    return (10 * torch.log10(4.0 / error)).mean().item()


def precision_cost(base: Base, images: Tensor, dtype: torch.dtype = torch.bfloat16, t0: int = 601, steps: int = 40) -> dict[str, float]:
    """The reconstruction error that `dtype` costs: PSNR in dB of the round trip in float32, in `dtype`, and the difference."""
    full = round_trip_psnr(base.with_dtype(torch.float32), images, t0, steps)
    reduced = round_trip_psnr(base.with_dtype(dtype), images, t0, steps)
    return {"psnr_float32": full, "psnr_reduced": reduced, "cost_db": full - reduced}

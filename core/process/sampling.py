"""The two walks: inversion (image → latent) and generation (latent → image), as iterators, so that whoever looks on sees every step.

Neither switches gradients off: a network with frozen weights builds no graph, and fine-tuning walks the same generation with gradient.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from core.process.ddim import ddim_step
from core.process.noise import ItemNoise
from core.process.schedule import Schedule
from core.process.timesteps import generation_pairs, inversion_pairs
from core.types import EpsModel

Correction = Callable[[Tensor, Tensor, int, int], Tensor]  # (x_n as the step gave it, x_t, t, n) → x_n as it shall be


def batch_t(t: int, x: Tensor) -> Tensor:
    """The timestep as the network takes it: long `(B,)` on x's device."""
    return torch.full((x.shape[0],), t, dtype=torch.long, device=x.device)


def invert(eps_model: EpsModel, x0: Tensor, timesteps: Sequence[int], schedule: Schedule) -> Iterator[tuple[int, Tensor]]:
    """DDIM inversion upwards through `timesteps`, which begin at 0, where x0 stands as x. S − 1 calls of the network.

    ε is taken at the lower timestep of each pair. Yields (k, latent at timesteps[k]) for k = 1 … S − 1.
    """
    x = x0
    for k, (t, n) in enumerate(inversion_pairs(timesteps), start=1):
        x = ddim_step(x, eps_model(x, batch_t(t, x)), t, n, schedule)
        yield k, x


def generate(
    eps_model: EpsModel,
    x: Tensor,
    timesteps: Sequence[int],
    schedule: Schedule,
    eta: float = 0.0,
    noise: ItemNoise | None = None,
    clip_x0: bool = False,
    correct: Correction | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """DDIM generation from x, which stands at timesteps[-1], down to 0 and on to the clean image (−1). S calls of the network.

    Yields (k, x after step k) for k = 1 … S; the last one is the image. η > 0 needs `noise`, and draws once a step from it. `correct`
    has the last word on every step: a guidance, or a region that is kept.
    """
    for k, (t, n) in enumerate(generation_pairs(timesteps), start=1):
        z = noise.normal(x.shape[1:]) if eta > 0.0 and noise is not None else None
        lower = ddim_step(x, eps_model(x, batch_t(t, x)), t, n, schedule, eta, z, clip_x0)
        x = lower if correct is None else correct(lower, x, t, n)
        yield k, x


def last(walk: Iterator[tuple[int, Tensor]]) -> Tensor:
    """Walks to the end and returns the last latent. Raises ValueError when the walk has no steps."""
    final = deque(walk, maxlen=1)
    if not final:
        raise ValueError("The walk has no steps.")
    return final[0][1]

"""What the base's middle sees in pictures that were noised to some level: the features that the probe in `probe.py` reads attributes from.

Noise hides what is fine, and that is first of all the domain's own texture: so a level that is too low leads a probe astray in another
domain, and one that is too high leaves nothing to read. Baranchuk et al., "Label-Efficient Semantic Segmentation with Diffusion Models"
(ICLR 2022), look for the level in the same way, by trying; h is that of Kwon et al. (see core/models/h_space.py).
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.methods.walks import stop_if_asked
from core.models.h_space import HSpace
from core.process.ddim import add_noise
from core.process.noise import ItemNoise
from core.types import Context, StepEvent

CELLS = 4  # h is averaged in so many by so many cells: coarser ones forget where, and a smile is a matter of where
BATCH = 32


@torch.no_grad()
def h_features(x: Tensor, t: int, noise: ItemNoise, space: HSpace, draws: int = 1) -> Tensor:
    """`(B, C·CELLS²)` float32 on the CPU: h at timestep t, pooled, the mean over so many draws of each item's noise.

    x `(B, 3, H, W)` in [-1, 1]; noise: one generator an item, so a batch gives what its members give alone.
    """
    level = torch.full((len(x),), t, device=x.device)
    total = torch.zeros(())
    for _ in range(draws):
        noised = add_noise(x, t, noise.normal(x.shape[1:]), space.base.schedule)
        h = space.encode(noised, level).h
        total = total + F.adaptive_avg_pool2d(h, CELLS).flatten(1).cpu()
    return total / draws


def set_features(
    pixels: np.ndarray, digests: Sequence[str], t: int, draws: int, context: Context, path: Path
) -> Generator[StepEvent, None, Tensor]:
    """Yields "features" events and returns `(n, C·CELLS²)` of a set's pictures, from `path` (.npy) or written there now.

    pixels `(n, 3, size, size)` uint8 (see pixels.py). A picture's noise comes from its digest, so it is the same in every set.
    """
    if path.is_file():
        return torch.from_numpy(np.load(path))
    space, parts = HSpace(context.base), []
    for begin in range(0, len(digests), BATCH):
        stop_if_asked(context)
        x = torch.tensor(pixels[begin : begin + BATCH]).to(context.device).float().div(127.5).sub(1.0)
        noise = ItemNoise([int(digest[:12], 16) for digest in digests[begin : begin + BATCH]], context.device)
        with context.lock:
            parts.append(h_features(x, t, noise, space, draws))
        yield StepEvent("features", begin + len(x), len(digests), {"level": t})
    found = torch.cat(parts)
    _save(path, found.numpy())
    return found


def _save(path: Path, array: np.ndarray) -> None:
    """Appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.npy")
    np.save(temporary, array)
    os.replace(temporary, path)

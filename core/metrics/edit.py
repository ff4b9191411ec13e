"""What an edit did: whether it went the way the prompts point (S_dir), and whether it is still the same person (identity score)."""

from __future__ import annotations

import torch
from torch import Tensor

from core.models.clip import Clip, normalised
from core.models.identity import Identity


@torch.no_grad()
def s_dir(clip: Clip, x0: Tensor, x: Tensor, direction: Tensor) -> Tensor:
    """Directional CLIP similarity cos(ΔI, ΔT) `(B,)` in [-1, 1] (DiffusionCLIP, section 4).

    x0: the images before, x: after, each `(B, 3, H, W)` in [-1, 1]; direction: ΔT `(D,)` of unit length.
    """
    return normalised(clip.encode_image(x) - clip.encode_image(x0)) @ direction


@torch.no_grad()
def identity_score(identity: Identity, a: Tensor, b: Tensor) -> Tensor:
    """Cosine of the face embeddings `(B,)` of images a and b, each `(B, 3, H, W)` in [-1, 1]."""
    return identity.score(a, b)


def between_floor_and_ceiling(score: Tensor, floor: float, ceiling: float) -> Tensor:
    """An identity score on the encoder's own scale: 0 where two different persons stand, 1 where two pictures of one person do.

    Not clamped: an edit that hardly changes the picture lies above 1, as it should be seen to.
    """
    return (score - floor) / (ceiling - floor)

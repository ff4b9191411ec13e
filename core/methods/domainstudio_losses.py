"""The losses of DomainStudio (Zhu et al., 2023, section 4): variety kept by pairwise similarity, details learned by high frequencies.

Each takes plain batches `(B, C, H, W)` with even sides, whatever they came from: predicted images x̂0 of the unconditional variant, or
decoded samples of the text-to-image one.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def high_frequencies(x: Tensor) -> Tensor:
    """LH + HL + HH of one Haar level, `(B, C, H/2, W/2)`: what is left of each 2×2 block beside its mean."""
    low, high = x.new_tensor([1.0, 1.0]) / math.sqrt(2.0), x.new_tensor([-1.0, 1.0]) / math.sqrt(2.0)
    kernels = torch.stack([torch.outer(high, low), torch.outer(low, high), torch.outer(high, high)])
    lh, hl, hh = F.conv2d(x.flatten(0, 1)[:, None], kernels[:, None], stride=2).unbind(dim=1)
    return (lh + hl + hh).unflatten(0, x.shape[:2])


def similarities(x: Tensor) -> Tensor:
    """p `(B, B − 1)`, p_i = softmax over j ≠ i of cos(x^i, x^j) (eq. 4). B must be 3 or more for a row to say anything."""
    flat = x.flatten(1)
    cosines = F.cosine_similarity(flat[:, None], flat[None], dim=-1)
    others = ~torch.eye(len(x), dtype=torch.bool, device=x.device)
    return cosines[others].view(len(x), len(x) - 1).softmax(dim=1)


def pairwise_loss(source: Tensor, adapted: Tensor) -> Tensor:
    """KL(p_source ‖ p_adapted) `()`, the mean over all B × (B − 1) entries (eq. 5; of high frequencies, eq. 8)."""
    return F.kl_div(similarities(adapted).log(), similarities(source), reduction="none").mean()


def high_frequency_error(adapted: Tensor, images: Tensor) -> Tensor:
    """‖hf(x̂0) − hf(x0)‖² `(B,)`, the mean over channels and places (eq. 9)."""
    return (high_frequencies(adapted) - high_frequencies(images)).square().flatten(1).mean(dim=1)


def limited(snr: Tensor, most: float) -> Tensor:
    """min(1, most·SNR_t) `(B,)`: an error of x̂0 is one of ε times 1/SNR_t, up to 25,000; so weighted it counts `most` times at most."""
    return (most * snr).clamp(max=1.0)

"""The terms of SDFT's loss (Hur et al., WACV 2024, eq. 6–9), one number an image: the mean over channels and pixels of ε alone."""

from __future__ import annotations

import torch
from torch import Tensor

from core.methods.sdft_settings import Weighting
from core.process.schedule import Schedule

MIN_SNR = 5.0  # γ of Hang et al., "Efficient Diffusion Training via Min-SNR Weighting" (ICCV 2023)


def squared_error(a: Tensor, b: Tensor) -> Tensor:
    """Mean square of a − b over everything but the batch, `(B,)`."""
    return (a - b).square().flatten(1).mean(dim=1)


def timestep_weight(weighting: Weighting, gamma: float, t: Tensor, schedule: Schedule) -> Tensor:
    """w(t) `(B,)` of an error of ε, for long t `(B,)`.

    sdft: 1/(1 + SNR_t)^γ, near 1 at high noise only. constant: 1. min_snr_5: min(SNR_t, 5)/SNR_t; γ plays no part in these two.
    """
    if weighting == "sdft":
        return schedule.p2_weight(t, gamma)
    if weighting == "constant":
        return torch.ones_like(t, dtype=torch.float32)
    return (MIN_SNR / schedule.snr(t)).clamp(max=1.0)


def distillation(
    teacher: Tensor, student: Tensor, t: Tensor, strength: float, gamma: float, schedule: Schedule, weighting: Weighting = "sdft"
) -> Tensor:
    """λ·w_γ(t)·‖ε_T − ε_S‖² `(B,)`: the distillation term at (x_t, t), the auxiliary one at (z, t)."""
    return strength * timestep_weight(weighting, gamma, t, schedule) * squared_error(teacher, student)

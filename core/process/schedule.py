"""The noise schedule of Ho et al. 2020 (DDPM, section 4): linear β, and everything that is a function of t alone.

Latent diffusion (Rombach et al. 2022, and Stable Diffusion after it) spaces √β evenly instead, which diffusers calls scaled_linear.

Throughout, t is a timestep 0 … num_steps − 1, and −1 stands for the clean image, where ᾱ is 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

BETA_SCHEDULES = ("linear", "scaled_linear")


class Schedule:
    """β from beta_start to beta_end in num_steps steps; beta_schedule: "linear" in β, or "scaled_linear", which is linear in √β.

    betas: float64 `(num_steps,)`. alpha_bar: float32 `(num_steps,)`, the cumulative product of 1 − β (taken in float64, then rounded once).
    """

    def __init__(
        self, num_steps: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02, beta_schedule: str = "linear"
    ) -> None:
        if beta_schedule not in BETA_SCHEDULES:
            raise ValueError(f"There is no beta schedule {beta_schedule!r}; there are {', '.join(BETA_SCHEDULES)}.")
        if num_steps < 2 or not 0.0 < beta_start <= beta_end < 1.0:
            raise ValueError(f"A schedule needs 2 steps and 0 < beta_start <= beta_end < 1, not {num_steps}, {beta_start}, {beta_end}.")
        self.num_steps, self.beta_start, self.beta_end = num_steps, beta_start, beta_end
        self.beta_schedule = beta_schedule
        power = 2 if beta_schedule == "scaled_linear" else 1
        self.betas = torch.linspace(beta_start ** (1 / power), beta_end ** (1 / power), num_steps, dtype=torch.float64) ** power
        self.alpha_bar = torch.cumprod(1.0 - self.betas, dim=0).float()

    def alpha_bar_at(self, t: int | Tensor) -> Tensor:
        """ᾱ_t: shape `()` for an int, t's own shape and device for a long tensor; 1 at t = −1. ValueError for an int beyond it."""
        if isinstance(t, int):
            if not -1 <= t < self.num_steps:
                raise ValueError(f"Timestep {t} lies outside -1 … {self.num_steps - 1}.")
            return self.alpha_bar[t] if t >= 0 else self.alpha_bar.new_ones(())
        values = self.alpha_bar.to(t.device)[t.clamp(min=0)]
        return torch.where(t < 0, torch.ones_like(values), values)

    def snr(self, t: int | Tensor) -> Tensor:
        """Signal-to-noise ratio ᾱ_t / (1 − ᾱ_t); infinite at t = −1."""
        alpha_bar = self.alpha_bar_at(t)
        return alpha_bar / (1.0 - alpha_bar)

    def p2_weight(self, t: int | Tensor, gamma: float, k: float = 1.0) -> Tensor:
        """w_γ(t) = 1 / (k + SNR_t)^γ (Choi et al. 2022, P2 weighting, equation 8); for k = 1 it is exactly (1 − ᾱ_t)^γ."""
        if k == 1.0:
            return (1.0 - self.alpha_bar_at(t)) ** gamma  # same value without dividing by 1 − ᾱ, which is small near t = 0
        return (k + self.snr(t)) ** -gamma

    def to(self, device: torch.device | str) -> Schedule:
        """The same schedule with ᾱ on `device`; betas stay on the CPU, for not every device has float64."""
        moved = Schedule(self.num_steps, self.beta_start, self.beta_end, self.beta_schedule)
        moved.alpha_bar = self.alpha_bar.to(device)
        return moved

    def signature(self) -> str:
        """A short text that differs whenever the values differ: part of every trajectory's key."""
        return f"{self.beta_schedule}-{self.num_steps}-{self.beta_start!r}-{self.beta_end!r}"

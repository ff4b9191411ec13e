"""The algebra of one step between x_0, x_t, ε and v. Pure functions on float32 tensors `(B, 3, H, W)`.

Source: Song et al. 2021 (DDIM), equations 9, 12 and 16; Salimans & Ho 2022 for v. `alpha_bar` is ᾱ, `()` or `(B,)`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.process.schedule import Schedule


def _over(alpha_bar: Tensor, x: Tensor) -> Tensor:
    """ᾱ made to broadcast over the images of x."""
    alpha_bar = alpha_bar.to(x.device)
    return alpha_bar.reshape(-1, *(1 for _ in x.shape[1:])) if alpha_bar.ndim else alpha_bar


def add_noise(x0: Tensor, t: int | Tensor, noise: Tensor, schedule: Schedule) -> Tensor:
    """x_t = √ᾱ_t·x_0 + √(1−ᾱ_t)·noise."""
    alpha_bar = _over(schedule.alpha_bar_at(t), x0)
    return alpha_bar.sqrt() * x0 + (1.0 - alpha_bar).sqrt() * noise


def predict_x0(x: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    """x̂_0 = (x_t − √(1−ᾱ_t)·ε) / √ᾱ_t."""
    alpha_bar = _over(alpha_bar, x)
    return (x - (1.0 - alpha_bar).sqrt() * eps) / alpha_bar.sqrt()


def eps_from_x0(x: Tensor, x0: Tensor, alpha_bar: Tensor) -> Tensor:
    """The ε that goes with a given x̂_0: predict_x0 solved for ε. ᾱ must be below 1."""
    alpha_bar = _over(alpha_bar, x)
    return (x - alpha_bar.sqrt() * x0) / (1.0 - alpha_bar).sqrt()


def ddim_sigma(alpha_bar_t: Tensor, alpha_bar_n: Tensor, eta: float) -> Tensor:
    """c = η·√((1−ᾱ_t/ᾱ_n)(1−ᾱ_n)/(1−ᾱ_t)), the standard deviation of the fresh noise; 0 for n = −1."""
    return eta * ((1.0 - alpha_bar_t / alpha_bar_n) * (1.0 - alpha_bar_n) / (1.0 - alpha_bar_t)).sqrt()


def ddim_step(
    x: Tensor,
    eps: Tensor,
    t: int | Tensor,
    n: int | Tensor,
    schedule: Schedule,
    eta: float = 0.0,
    noise: Tensor | None = None,
    clip_x0: bool = False,
) -> Tensor:
    """x_n = √ᾱ_n·x̂_0 + √(1−ᾱ_n−c²)·ε + c·noise, from t to n, in either direction (η must be 0 upwards).

    clip_x0 clips x̂_0 to [-1, 1] and takes the ε that belongs to the clipped one, as guided-diffusion does.
    Raises ValueError when η > 0 and there is no noise.
    """
    alpha_bar_t = schedule.alpha_bar_at(t)
    x0 = predict_x0(x, eps, alpha_bar_t)
    if clip_x0:
        x0 = x0.clamp(-1.0, 1.0)
        eps = eps_from_x0(x, x0, alpha_bar_t)
    return ddim_compose(x0, eps, t, n, schedule, eta, noise)


def ddim_compose(
    x0: Tensor, eps: Tensor, t: int | Tensor, n: int | Tensor, schedule: Schedule, eta: float = 0.0, noise: Tensor | None = None
) -> Tensor:
    """x_n = √ᾱ_n·P_t + D_t + c·noise with P_t the predicted image x̂_0 and D_t = √(1−ᾱ_n−c²)·ε the direction to x_t.

    In ddim_step both come from one ε; Asyrp (Kwon et al. 2023, eq. 4) takes them from two. Raises ValueError when η > 0 lacks noise.
    """
    alpha_bar_t, alpha_bar_n = _over(schedule.alpha_bar_at(t), x0), _over(schedule.alpha_bar_at(n), x0)
    if eta == 0.0:
        return alpha_bar_n.sqrt() * x0 + (1.0 - alpha_bar_n).sqrt() * eps
    if noise is None:
        raise ValueError("A DDIM step with eta > 0 needs noise.")
    c = ddim_sigma(alpha_bar_t, alpha_bar_n, eta)
    direction = (1.0 - alpha_bar_n - c**2).clamp(min=0.0).sqrt()  # rounding may put a hair below 0 where it is 0
    return alpha_bar_n.sqrt() * x0 + direction * eps + c * noise


def eps_from_velocity(v: Tensor, x: Tensor, alpha_bar: Tensor) -> Tensor:
    """ε = √ᾱ·v + √(1−ᾱ)·x, for networks that predict v = √ᾱ·ε − √(1−ᾱ)·x_0."""
    alpha_bar = _over(alpha_bar, x)
    return alpha_bar.sqrt() * v + (1.0 - alpha_bar).sqrt() * x


def split_learned_sigma(out: Tensor) -> tuple[Tensor, Tensor]:
    """A learned-sigma output `(B, 6, H, W)` → ε (its first half) and the variance output (its second), each `(B, 3, H, W)`."""
    eps, variance = torch.chunk(out, 2, dim=1)
    return eps, variance

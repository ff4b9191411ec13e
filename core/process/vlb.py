"""The variational bound of a network that learns its variance (Nichol & Dhariwal, "Improved Denoising Diffusion", ICML 2021, section 3.1).

The network's second half v says where log σ² lies between its two bounds: log σ² = f·log β_t + (1 − f)·log β̃_t with f = (v + 1)/2 (eq. 15).
The bound teaches σ alone: ε comes without gradient, as the paper has it. Images `(B, 3, H, W)` in [-1, 1].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from core.process.ddim import predict_x0
from core.process.schedule import Schedule

HALF_LEVEL = 1.0 / 255.0  # half the distance of two of the 256 levels in [-1, 1]
SMALLEST = 1e-12  # probability; keeps the logarithm finite


def vlb_term(x0: Tensor, x: Tensor, t: Tensor, eps: Tensor, variance: Tensor, schedule: Schedule) -> Tensor:
    """L_t in bits per dimension, `(B,)`: KL(q(x_{t−1} | x_t, x_0) ‖ p(x_{t−1} | x_t)), at t = 0 the negative log-likelihood of the pixels.

    x: x_t; t long `(B,)`; eps and variance: the network's two halves at (x, t).
    """
    from_x0, from_x, low, high = (part.view(-1, 1, 1, 1) for part in _posterior(t, schedule))
    share = (variance + 1.0) / 2.0
    log_variance = share * high + (1.0 - share) * low
    mean = from_x0 * predict_x0(x, eps.detach(), schedule.alpha_bar_at(t)) + from_x * x
    true_mean = from_x0 * x0 + from_x * x
    kl = 0.5 * (log_variance - low - 1.0 + (low - log_variance).exp() + (true_mean - mean).square() * (-log_variance).exp())
    nats = torch.where((t == 0).view(-1, 1, 1, 1), -_log_likelihood(x0, mean, log_variance), kl)
    return nats.mean(dim=(1, 2, 3)) / math.log(2.0)


def _posterior(t: Tensor, schedule: Schedule) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of q(x_{t−1} | x_t, x_0): the factors of x_0 and x_t in its mean, log β̃_t and log β_t, each float32 `(B,)`.

    In float64, for 1 − ᾱ is small at low t. β̃_0 is 0; its logarithm is that of β̃_1 (as in the published code).
    """
    betas = schedule.betas.to("cpu", torch.float64)
    alpha_bar = torch.cumprod(1.0 - betas, dim=0)
    before = torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
    lower = betas * (1.0 - before) / (1.0 - alpha_bar)
    parts = (
        before.sqrt() * betas / (1.0 - alpha_bar),
        (1.0 - betas).sqrt() * (1.0 - before) / (1.0 - alpha_bar),
        torch.cat([lower[1:2], lower[1:]]).log(),
        betas.log(),
    )
    from_x0, from_x, low, high = (part[t.cpu()].float().to(t.device) for part in parts)
    return from_x0, from_x, low, high


def _log_likelihood(x0: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log-probability of each pixel's level under a normal distribution; the outermost reach to infinity (Ho et al. 2020, eq. 13)."""
    scale = (-0.5 * log_variance).exp()
    above = torch.special.ndtr((x0 - mean + HALF_LEVEL) * scale)
    below = torch.special.ndtr((x0 - mean - HALF_LEVEL) * scale)
    above = torch.where(x0 > 1.0 - HALF_LEVEL, torch.ones_like(above), above)
    below = torch.where(x0 < HALF_LEVEL - 1.0, torch.zeros_like(below), below)
    return (above - below).clamp(min=SMALLEST).log()

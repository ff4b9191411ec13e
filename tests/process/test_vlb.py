"""The variational bound against torch's own divergences and distributions."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from core.process.ddim import add_noise, predict_x0
from core.process.schedule import Schedule
from core.process.vlb import vlb_term

SCHEDULE = Schedule()


def case(t: int):
    g = torch.Generator().manual_seed(t)
    x0 = (torch.randint(256, (2, 3, 4, 4), generator=g) / 127.5 - 1).float()
    noise, eps, v = (torch.randn(2, 3, 4, 4, generator=g) for _ in range(3))
    times = torch.full((2,), t)
    return x0, add_noise(x0, times, noise, SCHEDULE), times, noise, eps, v.tanh()


def posterior(x0, x, t: int):
    """Mean and standard deviation of q(x_{t−1} | x_t, x_0), DDPM eq. 7, in float64."""
    beta = SCHEDULE.betas[t]
    alpha_bar = torch.cumprod(1 - SCHEDULE.betas, dim=0)
    now, before = alpha_bar[t], alpha_bar[t - 1]
    mean = (before.sqrt() * beta * x0.double() + (1 - beta).sqrt() * (1 - before) * x.double()) / (1 - now)
    return mean, (beta * (1 - before) / (1 - now)).sqrt(), beta.sqrt()


@pytest.mark.parametrize("t", [1, 300, 999])
def test_it_is_the_divergence_between_the_two_normals(t):
    x0, x, times, _, eps, v = case(t)
    mean, low, high = posterior(x0, x, t)
    ours, _, _ = posterior(predict_x0(x, eps, SCHEDULE.alpha_bar_at(times)), x, t)
    share = (v.double() + 1) / 2
    sigma = high**share * low ** (1 - share)
    expected = kl_divergence(Normal(mean, low), Normal(ours, sigma)).mean(dim=(1, 2, 3)) / math.log(2)
    assert torch.allclose(vlb_term(x0, x, times, eps, v, SCHEDULE).double(), expected, rtol=1e-2)


def test_the_true_noise_with_the_lower_variance_costs_nothing():
    x0, x, times, noise, _, v = case(300)
    assert vlb_term(x0, x, times, noise, torch.full_like(v, -1.0), SCHEDULE).abs().max() < 1e-4


def test_at_zero_it_is_the_likelihood_of_the_levels():
    """Over all 256 levels of a pixel the probabilities add up to one."""
    levels = (torch.arange(256) / 127.5 - 1).view(256, 1, 1, 1).float()
    x, times = torch.zeros(256, 1, 1, 1), torch.zeros(256, dtype=torch.long)
    bits = vlb_term(levels, x, times, torch.zeros_like(x), torch.ones_like(x), SCHEDULE)
    assert (2.0**-bits).sum().item() == pytest.approx(1.0, abs=1e-3)


def test_the_gradient_teaches_the_variance_alone():
    x0, x, times, _, eps, v = case(300)
    eps.requires_grad_(), v.requires_grad_()
    vlb_term(x0, x, times, eps, v, SCHEDULE).sum().backward()
    assert eps.grad is None and v.grad.abs().sum() > 0

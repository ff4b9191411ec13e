"""One step's algebra: closed forms, inverses, η against its definition, and diffusers' scheduler."""

import pytest
import torch

from core.process.ddim import (
    add_noise,
    ddim_sigma,
    ddim_step,
    eps_from_velocity,
    eps_from_x0,
    predict_x0,
    split_learned_sigma,
)
from core.process.schedule import Schedule

SCHEDULE = Schedule()
G = torch.Generator().manual_seed(0)
X0, EPS, Z = (torch.randn(3, 3, 4, 4, generator=G) for _ in range(3))


@pytest.mark.parametrize("t", [0, 300, 700, torch.tensor([0, 300, 700])])
def test_predict_x0_undoes_add_noise(t):
    x = add_noise(X0, t, EPS, SCHEDULE)
    torch.testing.assert_close(predict_x0(x, EPS, SCHEDULE.alpha_bar_at(t)), X0, atol=2e-5, rtol=1e-4)


def test_eps_from_x0_belongs_to_predict_x0():
    alpha_bar = SCHEDULE.alpha_bar_at(500)
    torch.testing.assert_close(eps_from_x0(Z, predict_x0(Z, EPS, alpha_bar), alpha_bar), EPS, atol=1e-5, rtol=1e-5)


def test_a_step_with_the_true_noise_lands_on_the_noised_image_in_both_directions():
    x = add_noise(X0, 300, EPS, SCHEDULE)
    for n in (250, 350, -1):
        expected = add_noise(X0, n, EPS, SCHEDULE)
        torch.testing.assert_close(ddim_step(x, EPS, 300, n, SCHEDULE), expected, atol=1e-5, rtol=1e-5)


def test_a_batch_may_stand_at_different_timesteps():
    t, n = torch.tensor([100, 300, 500]), torch.tensor([-1, 250, 499])
    together = ddim_step(Z, EPS, t, n, SCHEDULE)
    alone = [ddim_step(Z[i : i + 1], EPS[i : i + 1], int(t[i]), int(n[i]), SCHEDULE) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone))


def test_eta_one_is_the_ancestral_step_of_ddpm():
    """At η = 1 and n = t − 1 the mean is DDPM's posterior mean, equation 7 of Ho et al. 2020, and c² its variance β̃_t."""
    t, betas = 400, SCHEDULE.betas
    a_t, a_n = SCHEDULE.alpha_bar_at(t), SCHEDULE.alpha_bar_at(t - 1)
    beta, x0 = betas[t].float(), predict_x0(Z, EPS, a_t)
    mean = a_n.sqrt() * beta / (1 - a_t) * x0 + (1 - beta).sqrt() * (1 - a_n) / (1 - a_t) * Z
    torch.testing.assert_close(ddim_step(Z, EPS, t, t - 1, SCHEDULE, 1.0, torch.zeros_like(Z)), mean, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(ddim_sigma(a_t, a_n, 1.0) ** 2, beta * (1 - a_n) / (1 - a_t), rtol=1e-3, atol=1e-7)


def test_the_last_step_adds_no_noise_at_any_eta():
    torch.testing.assert_close(ddim_step(Z, EPS, 20, -1, SCHEDULE, 1.0, 100 * X0), ddim_step(Z, EPS, 20, -1, SCHEDULE))


def test_eta_without_noise_is_an_error():
    with pytest.raises(ValueError, match="needs noise"):
        ddim_step(Z, EPS, 300, 250, SCHEDULE, eta=0.5)


def test_noise_is_read_out_of_a_velocity():
    alpha_bar = SCHEDULE.alpha_bar_at(torch.tensor([10, 500, 900]))
    x = add_noise(X0, torch.tensor([10, 500, 900]), EPS, SCHEDULE)
    column = alpha_bar.view(3, 1, 1, 1)
    v = column.sqrt() * EPS - (1 - column).sqrt() * X0
    torch.testing.assert_close(eps_from_velocity(v, x, alpha_bar), EPS, atol=1e-5, rtol=1e-5)


def test_learned_sigma_splits_in_halves():
    out = torch.randn(2, 6, 4, 4)
    eps, variance = split_learned_sigma(out)
    assert torch.equal(eps, out[:, :3]) and torch.equal(variance, out[:, 3:])

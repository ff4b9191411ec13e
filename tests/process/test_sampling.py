"""The two walks: number and place of the calls, diffusers as a witness, round trips where the truth is known, noise of items."""

import pytest
import torch
from diffusers import DDIMScheduler

from core.process.ddim import ddim_step
from core.process.noise import ItemNoise
from core.process.sampling import generate, invert, last
from core.process.schedule import Schedule
from core.process.timesteps import lab_timesteps, paper_timesteps, spaced_timesteps

SCHEDULE = Schedule()
G = torch.Generator().manual_seed(1)
X0 = torch.randn(4, 3, 8, 8, generator=G).clamp(-1, 1)
WEIGHT = 0.3 * torch.randn(3, 3, generator=G)


def some_network(x, t):
    """A smooth made-up ε: mixes the channels, changes with t."""
    return torch.tanh(torch.einsum("bchw,cd->bdhw", x, WEIGHT) + 1e-3 * t.view(-1, 1, 1, 1))


class Recorder:
    def __init__(self):
        self.seen = []

    def __call__(self, x, t):
        self.seen += [int(t[0])]
        return some_network(x, t)


def test_inversion_calls_at_the_lower_timestep_and_once_less_than_steps():
    network, grid = Recorder(), [0, 10, 20, 30]
    walk = list(invert(network, X0, grid, SCHEDULE))
    assert network.seen == [0, 10, 20] and [k for k, _ in walk] == [1, 2, 3]
    torch.testing.assert_close(walk[0][1], ddim_step(X0, some_network(X0, torch.zeros(4)), 0, 10, SCHEDULE))


def test_generation_calls_once_a_step_and_ends_at_the_clean_image():
    network, grid = Recorder(), [0, 10, 20, 30]
    walk = list(generate(network, X0, grid, SCHEDULE))
    assert network.seen == [30, 20, 10, 0] and [k for k, _ in walk] == [1, 2, 3, 4]


def diffusers_walk(x, steps, clip, eta=0.0, noise=None):
    scheduler = DDIMScheduler(beta_schedule="linear", timestep_spacing="leading", steps_offset=0, set_alpha_to_one=True, clip_sample=clip)
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        eps = some_network(x, torch.full((x.shape[0],), int(t)))
        z = noise.normal(x.shape[1:]) if noise else None
        x = scheduler.step(eps, t, x, eta=eta, use_clipped_model_output=clip, variance_noise=z).prev_sample
    return x


@pytest.mark.parametrize("clip", [True, False])
def test_equals_diffusers_on_ddim40(clip):
    x = torch.randn(2, 3, 8, 8, generator=G)
    ours = last(generate(some_network, x, spaced_timesteps(40), SCHEDULE, clip_x0=clip))
    theirs = diffusers_walk(x, 40, clip)
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_equals_diffusers_with_noise():
    x = torch.randn(2, 3, 8, 8, generator=G)
    ours = last(generate(some_network, x, spaced_timesteps(40), SCHEDULE, 1.0, ItemNoise([5, 6])))
    theirs = diffusers_walk(x, 40, clip=False, eta=1.0, noise=ItemNoise([5, 6]))
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def gaussian_network(deviation):
    """The exact ε of data N(0, deviation²): √(1−ᾱ)·x / (ᾱ·deviation² + 1 − ᾱ)."""

    def eps(x, t):
        a = SCHEDULE.alpha_bar_at(t).view(-1, 1, 1, 1)
        return (1 - a).sqrt() * x / (a * deviation**2 + 1 - a)

    return eps


def round_trip_error(timesteps, deviation=0.5):
    eps = gaussian_network(deviation)
    latent = last(invert(eps, X0, timesteps, SCHEDULE))
    return (last(generate(eps, latent, timesteps, SCHEDULE)) - X0).abs().max().item()


def test_round_trip_on_a_gaussian_falls_with_the_steps():
    """Published for a Gaussian: at most 0.205 at 40 steps, 0.031 at 250, 0.012 at 1000. Ours has deviation 0.5 and |x| ≤ 1."""
    errors = [round_trip_error(paper_timesteps(steps, 999)) for steps in (40, 250, 1000)]
    assert errors[0] > errors[1] > errors[2]
    assert all(error <= bound for error, bound in zip(errors, (0.205, 0.031, 0.012), strict=True))
    assert round_trip_error(lab_timesteps()) < 0.205


def test_inversion_of_a_gaussian_tends_to_the_flow_of_the_ode():
    """For N(0, s²) the probability-flow ODE carries x to x·√((ᾱ_t·s² + 1 − ᾱ_t) / (ᾱ_0·s² + 1 − ᾱ_0))."""
    spread = [(a * 0.25 + 1 - a).sqrt() for a in (SCHEDULE.alpha_bar_at(0), SCHEDULE.alpha_bar_at(999))]
    latent = last(invert(gaussian_network(0.5), X0, range(1000), SCHEDULE))
    torch.testing.assert_close(latent, X0 * spread[1] / spread[0], atol=2e-2, rtol=1e-2)


def test_a_batch_gives_what_its_members_give_alone():
    grid = paper_timesteps(6, 601)
    together = last(generate(some_network, X0, grid, SCHEDULE, 1.0, ItemNoise([7, 8, 9, 10])))
    for i in range(4):
        alone = last(generate(some_network, X0[i : i + 1], grid, SCHEDULE, 1.0, ItemNoise([7 + i])))
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-6, rtol=1e-6)


def test_generation_lets_gradients_through():
    weight = WEIGHT.clone().requires_grad_()
    image = last(generate(lambda x, t: torch.einsum("bchw,cd->bdhw", x, weight), X0, paper_timesteps(6, 601), SCHEDULE))
    image.square().mean().backward()
    assert weight.grad.abs().sum() > 0


def test_an_empty_walk_has_no_last():
    with pytest.raises(ValueError, match="no steps"):
        last(iter(()))

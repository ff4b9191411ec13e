"""Which timesteps a walk visits: ascending lists of distinct ints. Those of an inversion begin at 0; t = −1 is the clean image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from core.types import ShiftlabError


def paper_timesteps(steps: int, t0: int) -> list[int]:
    """DiffusionCLIP's sequence: `steps` values from 0 to the return step t0, truncated to ints.

    The 1e-6 is essential: products such as 0.29166…·300 fall a hair below an integer, and plain truncation then lands one too low
    ((25, 300) has three wrong entries). Raises ShiftlabError when t0 has no room for that many different timesteps.
    """
    if steps < 2:
        raise ShiftlabError(f"A walk needs at least 2 steps, not {steps}. Choose 2 or more.")
    if t0 < steps - 1:
        raise ShiftlabError(f"{steps} steps do not fit below return step {t0}. Use at most {t0 + 1} steps or a higher return step.")
    return [int(v + 1e-6) for v in np.linspace(0.0, 1.0, steps) * t0]


def spaced_timesteps(steps: int, num_steps: int = 1000) -> list[int]:
    """guided-diffusion's "ddimN" spacing: every (num_steps / steps)-th timestep from 0, for 40 of 1000: 0, 25, …, 975.

    Raises ShiftlabError when no whole stride gives exactly that many timesteps.
    """
    for stride in range(1, num_steps):
        if len(range(0, num_steps, stride)) == steps:
            return list(range(0, num_steps, stride))
    raise ShiftlabError(f"{num_steps} timesteps cannot be spaced evenly into {steps}. Choose a divisor of {num_steps}.")


def lab_timesteps(spacing: int = 20, num_steps: int = 1000) -> list[int]:
    """The grid on which trajectories are stored: 0, 1, 21, 41, …, 981, so that 201, 301, 401, 501 and 601 are on it.

    The known good return steps of DiffusionCLIP end in 1, so every position of a slider with this spacing starts from a stored latent.
    """
    return [0, *range(1, num_steps, spacing)]


def leading_timesteps(steps: int, num_steps: int = 1000) -> list[int]:
    """Stable Diffusion's sequence, diffusers' "leading" spacing with an offset of 1: for 50 of 1000 it is 1, 21, …, 981.

    For generation only: it does not begin at 0. Where steps are many and do not divide num_steps, the last lies lower (334 of them end at
    667), as diffusers' does. Raises ShiftlabError for fewer than 1 step or more than num_steps − 1.
    """
    if not 1 <= steps < num_steps:
        raise ShiftlabError(f"A generation takes 1 to {num_steps - 1} steps, not {steps}. Choose a number between.")
    return [step * (num_steps // steps) + 1 for step in range(steps)]


def inversion_pairs(timesteps: Sequence[int]) -> list[tuple[int, int]]:
    """(from, to) of every inversion step, upwards: S − 1 pairs. The noise is predicted at the lower one."""
    return list(pairwise(timesteps))


def generation_pairs(timesteps: Sequence[int]) -> list[tuple[int, int]]:
    """(from, to) of every generation step, downwards to −1: S pairs."""
    return list(zip(reversed(timesteps), [*reversed(timesteps[:-1]), -1], strict=True))

"""The sequences, with the truncation trap counted as it was published."""

import numpy as np
import pytest
from diffusers import DDIMScheduler

from core.process.timesteps import generation_pairs, inversion_pairs, lab_timesteps, leading_timesteps, paper_timesteps, spaced_timesteps
from core.types import ShiftlabError


@pytest.mark.parametrize(("steps", "t0", "wrong"), [(25, 300, 3), (50, 301, 1)])
def test_the_truncation_trap(steps, t0, wrong):
    naive = [int(v) for v in np.linspace(0, 1, steps) * t0]
    ours = paper_timesteps(steps, t0)
    assert sum(a != b for a, b in zip(naive, ours, strict=True)) == wrong
    exact = [k * t0 // (steps - 1) for k in range(steps)]  # whole-number arithmetic knows no rounding
    assert ours == exact


@pytest.mark.parametrize("steps", [2, 6, 25, 40, 50, 250])
def test_paper_sequence_equals_whole_number_arithmetic_everywhere(steps):
    for t0 in range(max(steps - 1, 1), 1000, 7):
        assert paper_timesteps(steps, t0) == [k * t0 // (steps - 1) for k in range(steps)]


def test_paper_sequence_refuses_what_does_not_fit():
    assert paper_timesteps(41, 40) == list(range(41))
    with pytest.raises(ShiftlabError, match="do not fit"):
        paper_timesteps(42, 40)
    with pytest.raises(ShiftlabError, match="at least 2"):
        paper_timesteps(1, 40)


def test_ddim40_spacing():
    assert spaced_timesteps(40) == list(range(0, 1000, 25))
    assert spaced_timesteps(40) != paper_timesteps(40, 999)
    with pytest.raises(ShiftlabError, match="evenly"):
        spaced_timesteps(700)


def test_every_known_return_step_is_on_the_lab_grid():
    grid = lab_timesteps()
    assert grid[:3] == [0, 1, 21] and grid[-1] == 981 and len(grid) == 51
    assert {201, 301, 401, 501, 601} <= set(grid)


def test_pairs():
    assert inversion_pairs([0, 3, 7]) == [(0, 3), (3, 7)]
    assert generation_pairs([0, 3, 7]) == [(7, 3), (3, 0), (0, -1)]


def test_stable_diffusions_sequence_is_diffusers_own():
    scheduler = DDIMScheduler(steps_offset=1)
    for steps in (1, 7, 50):
        scheduler.set_timesteps(steps)
        assert leading_timesteps(steps) == scheduler.timesteps.tolist()[::-1]
    with pytest.raises(ShiftlabError, match="1 to 999"):
        leading_timesteps(0)

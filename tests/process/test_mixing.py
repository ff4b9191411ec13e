"""Strength and hybrids, for whole batches."""

import pytest
import torch

from core.process.mixing import Hybrid, mix_eps
from core.types import ShiftlabError

X = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(2))
T = torch.tensor([50, 300, 700])


def times(factor):
    return lambda x, t: factor * x


def never(x, t):
    raise AssertionError("a network of ratio 0 was called")


def test_strength_is_the_weighted_sum():
    mixed = mix_eps([(times(2.0), 0.3), (times(-1.0), 0.7)])
    torch.testing.assert_close(mixed(X, T), (0.3 * 2.0 - 0.7) * X)


def test_ratios_are_normalised_and_zero_costs_nothing():
    torch.testing.assert_close(mix_eps([(times(2.0), 2.0), (times(4.0), 6.0)])(X, T), 3.5 * X)
    assert torch.equal(mix_eps([(times(2.0), 1.0), (never, 0.0)])(X, T), 2.0 * X)


def test_the_first_threshold_from_above_applies():
    hybrid = Hybrid([times(1.0), times(10.0)], {0: [0.0, 1.0], 300: [1.0, 1.0], 600: [1.0, 0.0]})
    assert [hybrid.ratios_at(t) for t in (0, 299, 300, 599, 600, 999)] == [(0, 1)] * 2 + [(0.5, 0.5)] * 2 + [(1, 0)] * 2


def test_a_batch_at_different_timesteps_equals_its_members():
    hybrid = Hybrid([times(1.0), times(10.0)], {0: [0.0, 1.0], 300: [1.0, 1.0], 600: [1.0, 0.0]})
    together = hybrid(X, T)
    torch.testing.assert_close(together, torch.cat([10.0 * X[:1], 5.5 * X[1:2], X[2:]]))
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], hybrid(X[i : i + 1], T[i : i + 1]))


@pytest.mark.parametrize(
    ("table", "sentence"),
    [({300: [1.0, 0.0]}, "down to t = 0"), ({}, "down to t = 0"), ({0: [1.0]}, "2 ratios"), ({0: [0.0, 0.0]}, "add up to nothing")],
)
def test_a_table_that_cannot_apply_is_refused(table, sentence):
    with pytest.raises(ShiftlabError, match=sentence):
        Hybrid([times(1.0), times(2.0)], table)

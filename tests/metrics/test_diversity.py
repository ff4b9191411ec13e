"""intra-LPIPS and nearest-LPIPS on pictures of one colour, whose distances are known."""

import pytest
import torch

from core.metrics.diversity import distances, intra_lpips, nearest_lpips
from core.types import ShiftlabError


def grey(*values):
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def apart(a, b):
    return (a - b).abs().mean(dim=(1, 2, 3))


def test_distances_of_all_to_all():
    assert torch.allclose(distances(apart, grey(0.0, 1.0, 3.0), grey(0.0, 4.0)), torch.tensor([[0.0, 4], [1, 3], [3, 1]]))


def test_intra_lpips_is_the_mean_over_groups_of_the_mean_over_pairs():
    samples = grey(0.0, 1.0, 2.0, 9.0, 10.0, 20.0)  # three near 0, two near 10, one near 20
    assert intra_lpips(apart, samples, grey(0.0, 10.0, 20.0)) == pytest.approx(((1 + 2 + 1) / 3 + 1) / 2)


def test_copies_have_neither():
    shots = grey(0.0, 1.0)
    assert intra_lpips(apart, shots.repeat(3, 1, 1, 1), shots) == 0
    assert nearest_lpips(apart, shots.repeat(3, 1, 1, 1), shots) == 0


def test_nearest_lpips():
    assert nearest_lpips(apart, grey(1.0, 8.0), grey(0.0, 10.0)) == pytest.approx(1.5)


def test_more_pairs_than_go_into_a_batch():
    samples = torch.rand(20, 3, 2, 2)
    i, j = torch.triu_indices(20, 20, offset=1)
    assert intra_lpips(apart, samples, grey(0.0)) == pytest.approx(apart(samples[i], samples[j]).mean().item(), rel=1e-5)


def test_no_pairs_at_all():
    with pytest.raises(ShiftlabError, match="more samples"):
        intra_lpips(apart, grey(0.0, 10.0), grey(0.0, 10.0))

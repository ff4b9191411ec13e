"""intra-LPIPS and nearest-LPIPS on pictures of one colour, whose distances are known."""

import pytest
import torch

from core.metrics.diversity import distances, intra_lpips, mean_distance, near_duplicates, nearest_lpips, pairwise
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


def as_is(images):
    return images.flatten(1) / images[0].numel() ** 0.5


def test_all_pairs_in_one_look():
    images = grey(0.0, 1.0, 3.0)
    assert torch.allclose(pairwise(as_is, images), torch.tensor([[0.0, 1, 9], [1, 0, 4], [9, 4, 0]]), atol=1e-5)
    large = grey(0.0, 2.0).expand(-1, -1, 2, 2).repeat(1, 1, 40, 60)
    assert pairwise(lambda x: as_is(x) * x.shape[-2] * x.shape[-1] / (64 * 96), large)[0, 1] == pytest.approx(4, rel=1e-3)


def test_mean_distance_of_pairs():
    assert mean_distance(pairwise(as_is, grey(0.0, 1.0, 3.0))) == pytest.approx((1 + 9 + 4) / 3)
    assert mean_distance(torch.zeros(1, 1)) == 0


def test_near_duplicates_are_named_closest_first():
    distances = pairwise(as_is, grey(0.0, 5.0, 0.3, 5.0))
    found = near_duplicates(distances, 0.2)
    assert [pair[:2] for pair in found] == [(1, 3), (0, 2)] and found[1][2] == pytest.approx(0.09, abs=1e-5)
    assert near_duplicates(distances, 0.05) == [(1, 3, 0.0)]

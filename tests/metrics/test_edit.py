"""S_dir and the identity score against their formulas."""

import pytest
import torch

from core.metrics.edit import between_floor_and_ceiling, identity_score, s_dir


class PlainClip:
    """Embeds an image as its three mean colours."""

    def encode_image(self, x):
        return x.mean(dim=(2, 3))


class PlainIdentity:
    def score(self, a, b):
        return torch.cosine_similarity(a.flatten(1), b.flatten(1))


def colour(*values):
    return torch.tensor(values).view(1, 3, 1, 1).expand(1, 3, 4, 4)


def test_s_dir_is_the_cosine_of_the_change_with_the_direction():
    before, after = colour(0.0, 0.0, 0.0), colour(0.3, 0.4, 0.0)
    assert s_dir(PlainClip(), before, after, torch.tensor([1.0, 0.0, 0.0])).item() == pytest.approx(0.6, abs=1e-5)


def test_s_dir_of_an_unchanged_image_is_zero():
    assert s_dir(PlainClip(), colour(0.1, 0.2, 0.3), colour(0.1, 0.2, 0.3), torch.tensor([1.0, 0.0, 0.0])).item() == 0.0


def test_identity_score_is_one_number_an_image():
    a = torch.cat([colour(1.0, 0.0, 0.0), colour(0.0, 1.0, 0.0)])
    b = torch.cat([colour(1.0, 0.0, 0.0), colour(1.0, 0.0, 0.0)])
    assert identity_score(PlainIdentity(), a, b).tolist() == pytest.approx([1.0, 0.0])


def test_the_scale_between_floor_and_ceiling():
    scaled = between_floor_and_ceiling(torch.tensor([0.2, 0.5, 0.8, 0.9]), floor=0.2, ceiling=0.8)
    assert scaled.tolist() == pytest.approx([0.0, 0.5, 1.0, 0.7 / 0.6])

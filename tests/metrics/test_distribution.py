"""Fréchet and kernel distance against their formulas, and the names they go by."""

import pytest
import torch

from core.metrics.distribution import (
    INCEPTION_FILE,
    Extractor,
    best_extractor,
    frechet_distance,
    inception_extractor,
    kernel_distance,
)
from core.types import ShiftlabError


def normal(n, mean, seed, d=4):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + mean


def test_frechet_distance_of_a_shift_is_its_square():
    a = normal(50, 0.0, 0)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, a + 3.0) == pytest.approx(4 * 9.0, rel=1e-6)


def test_frechet_distance_of_a_stretch_by_hand():
    """Of features with diagonal covariance: the sum of squared differences of the standard deviations."""
    a = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=torch.float64)
    expected = 2 * (2 / 3) * (3 - 1) ** 2
    assert frechet_distance(a, 3 * a) == pytest.approx(expected, rel=1e-6)


def test_kernel_distance_by_hand():
    a, b = normal(6, 0.0, 1), normal(6, 1.0, 2)

    def kernel(x, y):
        return (x @ y.T / 4 + 1) ** 3

    off = ~torch.eye(6, dtype=torch.bool)
    expected = kernel(a, a)[off].mean() + kernel(b, b)[off].mean() - 2 * kernel(a, b).mean()
    assert kernel_distance(a, b) == pytest.approx(expected.item(), rel=1e-6)
    assert kernel_distance(a, torch.cat([b, normal(3, 9.0, 3)])) == pytest.approx(expected.item(), rel=1e-6)


def test_same_distribution_is_near_and_another_far():
    a, b, c = normal(400, 0.0, 1), normal(400, 0.0, 2), normal(400, 1.0, 3)
    assert abs(kernel_distance(a, b)) < 0.05 < kernel_distance(a, c)
    assert frechet_distance(a, b) < 0.2 < frechet_distance(a, c)


def test_one_image_has_no_distribution():
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(ShiftlabError, match="two images"):
            distance(normal(1, 0.0, 1), normal(5, 0.0, 2))


def test_an_extractor_goes_by_parts_and_by_name():
    extractor = Extractor("mean colours", lambda x: x.mean(dim=(2, 3)))
    images = torch.rand(70, 3, 4, 4)
    features = extractor(images)
    assert features.dtype == torch.float64 and torch.allclose(features.float(), images.mean(dim=(2, 3)), atol=1e-6)


def test_without_inception_the_clip_stands_in_and_says_so(tmp_path, monkeypatch):
    class PlainClip:
        name, fingerprint = "plain", "0123"

        def encode_image(self, x):
            return x.mean(dim=(2, 3))

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert best_extractor(PlainClip()).name == "features of plain 0123"
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / INCEPTION_FILE).write_bytes(b"whatever")
    with pytest.raises(ShiftlabError, match="not the InceptionV3"):
        best_extractor(PlainClip())
    with pytest.raises(ShiftlabError, match="not the InceptionV3"):
        inception_extractor(folder / INCEPTION_FILE)

"""The perceptual distance against its formula, and the names it goes by."""

import pytest
import torch
from torchmetrics.functional.image.lpips import _LPIPS

from core.metrics.perceptual import Lpips, Perceptual, best_perceptual, load_lpips, perceptual_of_identity
from core.models.identity import load_identity
from core.types import ShiftlabError
from tests.tiny import write_identity


def test_orthogonal_features_are_two_apart_whatever_their_length():
    def features(x):
        return [x, 5 * x]

    a = torch.zeros(1, 3, 4, 4)
    b = a.clone()
    a[:, 0], b[:, 1] = 7.0, 0.1
    assert Perceptual(features, "colours")(a, b).item() == pytest.approx(2.0, abs=1e-5)


def test_distance_of_the_identity_encoder(tmp_path):
    perceptual = perceptual_of_identity(load_identity(write_identity(tmp_path)))
    a, b = torch.rand(2, 3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert "tiny identity" in perceptual.name and "LPIPS" not in perceptual.name
    assert perceptual(a, a).tolist() == pytest.approx([0.0] * 3, abs=1e-6)
    assert (perceptual(a, b) > 0).all()
    assert torch.allclose(perceptual(a, b), perceptual(b, a))
    together, alone = perceptual(a, b), torch.cat([perceptual(a[i : i + 1], b[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_lpips_without_its_weights_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ShiftlabError, match="not on this machine"):
        load_lpips()


def test_without_alexnet_the_identity_encoder_stands_in(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert "tiny identity" in best_perceptual(load_identity(write_identity(tmp_path))).name


def test_vectors_give_the_same_distances(tmp_path):
    a, b = torch.rand(2, 3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    perceptual = perceptual_of_identity(load_identity(write_identity(tmp_path)))
    lpips = object.__new__(Lpips)  # its AlexNet with random weights, for the real ones are not on every machine
    lpips.network = _LPIPS(net="alex", pnet_rand=True)
    for distance in (perceptual, lpips):
        assert torch.allclose((distance.vectors(a) - distance.vectors(b)).square().sum(dim=1), distance(a, b), rtol=1e-3), distance

"""The perceptual distance against its formula, and the names it goes by."""

import pytest
import torch
from facenet_pytorch import InceptionResnetV1
from torchmetrics.functional.image.lpips import _LPIPS

from core.methods.scores import edit_scores
from core.metrics.perceptual import Lpips, Perceptual, best_perceptual, load_lpips, perceptual_for, perceptual_of_identity
from core.models.identity import ALIGNED_FACE, FACENET_SIZE, Identity, load_identity
from core.types import Context, ShiftlabError
from tests.tiny import write_identity


@pytest.fixture
def facenet(tmp_path, monkeypatch):
    """FaceNet with random weights, on a machine without AlexNet's."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(0)
    return Identity(InceptionResnetV1(pretrained=None), name="FaceNet (random)", image_size=FACENET_SIZE, crop=ALIGNED_FACE)


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


@pytest.mark.long
def test_facenet_s_own_features_tell_the_distance_of_an_edit(facenet):
    a, b = torch.rand(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    perceptual = perceptual_for(facenet)
    assert perceptual.name == "perceptual distance (FaceNet (random))"
    assert [tuple(layer.shape[2:]) for layer in perceptual.features(a)] == [(38, 38), (17, 17), (8, 8), (3, 3)]
    scores = edit_scores(a, b, None, Context(None, identity=facenet, perceptual=perceptual))
    assert all(0 < score["perceptual"] <= 4 and -1 <= score["identity"] <= 1 for score in scores)
    assert perceptual(a, a).tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    assert torch.allclose((perceptual.vectors(a) - perceptual.vectors(b)).square().sum(dim=1), perceptual(a, b), rtol=1e-3)
    b = a.clone()
    b[..., :4] = 1.0  # beside the face
    assert (perceptual(a, b) > 0).all() and facenet.crop == ALIGNED_FACE


@pytest.mark.long
def test_lpips_stands_in_beside_facenet_and_nowhere_else(facenet, tmp_path, monkeypatch):
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    kept = tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    kept.write_bytes(b"torn")
    with pytest.raises(ShiftlabError, match=r"are broken\. Put the file at https"):
        load_lpips()
    assert "FaceNet" in perceptual_for(facenet).name
    lpips = object.__new__(Lpips)
    monkeypatch.setattr("core.metrics.perceptual.Lpips", lambda device: lpips)
    assert perceptual_for(facenet) is lpips
    assert "tiny identity" in perceptual_for(load_identity(write_identity(tmp_path / "identity"))).name
    assert perceptual_for(None) is None


def test_lpips_without_its_weights_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ShiftlabError, match=r"Put the file at https.*alexnet.* into .*checkpoints"):
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

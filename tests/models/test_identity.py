"""The identity encoders: preprocessing, scores, folders. Tiny random model, no network."""

import pytest
import torch
from facenet_pytorch import InceptionResnetV1

from core.models.identity import Identity, load_facenet, load_identity
from core.types import ShiftlabError
from tests.tiny import write_identity


@pytest.fixture(scope="module")
def identity(tmp_path_factory) -> Identity:
    return load_identity(write_identity(tmp_path_factory.mktemp("identity")))


def images(count: int, size: int = 16) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(2)) * 2 - 1


def test_scores_are_cosines_with_gradient(identity):
    a = images(2).requires_grad_(True)
    assert identity.score(a, a).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    score = identity.score(a, images(4)[2:])
    assert score.shape == (2,) and (score < 1).all()
    score.sum().backward()
    assert a.grad.abs().sum() > 0


def test_the_card_gives_the_ends_of_the_scale(identity):
    assert (identity.ceiling, identity.floor, identity.name) == (0.9, 0.1, "tiny identity")


def test_images_of_another_size_are_resized(identity):
    assert identity.embed(images(1, 40)).shape == identity.embed(images(1)).shape


def test_the_crop_is_a_share_of_the_side():
    encoder = Identity(torch.nn.Flatten(), name="pixels", image_size=8, crop=(0.25, 0.75, 0.25, 0.75))
    x = torch.full((1, 3, 16, 16), -1.0)
    x[..., 4:12, 4:12] = 0.5
    assert torch.allclose(encoder.preprocess(x), torch.full((1, 3, 8, 8), 0.5))


def test_what_is_missing_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ShiftlabError, match="lacks"):
        load_identity(tmp_path)
    with pytest.raises(ShiftlabError, match="not on this machine"):
        load_facenet()
    with pytest.raises(ShiftlabError, match="no weights called"):
        load_facenet("imagenet")


@pytest.mark.long
def test_facenet_does_not_invent_its_bounds(tmp_path):
    torch.save(InceptionResnetV1(pretrained=None).state_dict(), tmp_path / "own.pt")
    encoder = load_facenet(str(tmp_path / "own.pt"))
    assert encoder.ceiling is encoder.floor is None
    assert "not measured" in encoder.card["bounds"]

"""The recipe of the identity encoder on a tiny network."""

import pytest
import torch
import torch.nn.functional as F

from core.models.identity import load_identity
from core.pretrain import identity as recipe


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(recipe, "PEOPLE", 4)
    monkeypatch.setattr(recipe, "CONFIG", {**recipe.CONFIG, "model_args": {"channels": [8, 8, 8, 8], "stem_width": 8}})


def test_the_margin_makes_the_task_harder_and_none_is_plain_softmax():
    torch.manual_seed(0)
    head, embedding, person = recipe.MarginSoftmax(5), torch.randn(3, recipe.DIMENSIONS), torch.tensor([0, 2, 4])
    cosine = F.normalize(embedding, dim=-1) @ F.normalize(head.centres, dim=-1).T
    torch.testing.assert_close(head(embedding, person, 0.0), F.cross_entropy(recipe.SCALE * cosine, person))
    assert head(embedding, person, 0.3) > head(embedding, person, 0.0)


def test_verification_of_perfect_and_of_blind_embeddings():
    perfect = recipe.verification(torch.eye(6), torch.eye(6))
    assert perfect == {"AUC": 1.0, "same": 1.0, "other": 0.0}
    assert recipe.verification(torch.ones(6, 3), torch.ones(6, 3))["AUC"] == 0.5


def test_folding_keeps_the_embedding(tiny):
    torch.manual_seed(0)
    embedder, images = recipe.Embedder(), torch.randn(8, 3, 64, 64)
    embedder(images)  # gives the normalisation something to remember
    embedder.eval()
    torch.testing.assert_close(embedder.folded()(images), embedder(images), atol=1e-5, rtol=1e-4)


@pytest.mark.long
def test_everybody_is_drawn_as_often_as_the_table_says(tmp_path):
    people = recipe.People(tmp_path, count=3)
    assert {domain: len(days) for domain, days in people.images.items()} == {domain: len(days) for domain, days in recipe.DAYS.items()}
    assert sum(recipe.DOMAIN_SHARES.values()) == pytest.approx(1.0)
    images, person = people.draw(20)
    assert images.shape == (20, 3, 64, 64) and person.max() < 3
    assert people.draw(20, other_domains=0.0)[0].shape == (20, 3, 64, 64)


@pytest.mark.long
def test_trained_measured_and_read_again(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "measure", lambda identity: {"ceiling": 0.8, "floor": 0.1, "measured": {}})
    arguments = ["identity", "--out", str(tmp_path / "identity"), "--cache", str(tmp_path / "cache"), "--steps", "2", "--batch", "6"]
    monkeypatch.setattr("sys.argv", [*arguments, "--threads", "1", "--device", "cpu"])
    recipe.main()
    encoder = load_identity(tmp_path / "identity")
    assert (encoder.name, encoder.ceiling, encoder.floor) == (recipe.TITLE, 0.8, 0.1)
    assert encoder.embed(torch.zeros(2, 3, 64, 64)).norm(dim=1).allclose(torch.ones(2))


@pytest.mark.long
def test_begins_with_the_weights_of_an_encoder_that_is_there(tiny, tmp_path):
    torch.manual_seed(0)
    network = recipe.Embedder().folded()
    recipe.export(network, tmp_path / "encoder", {})
    people = recipe.People(tmp_path / "cache", count=2)
    training = recipe.IdentityTraining(people, 2, 1e-3, torch.device("cpu"), tmp_path / "encoder")
    for name, weights in network.half().float().state_dict().items():
        torch.testing.assert_close(training.model.network.state_dict()[name], weights)


@pytest.mark.long
def test_measured_on_unseen_people(tiny):
    torch.manual_seed(0)
    facts = recipe.measure(recipe.Identity(recipe.Embedder().folded(), name="untrained", image_size=64), people=5)
    assert -1 <= facts["floor"] <= 1 and -1 <= facts["ceiling"] <= 1
    assert 0 <= facts["measured"]["AUC photo ↔ sketch, other day"] <= 1

"""The recipe of CLIP on a tiny model: its texts, its pictures, its attacks, and a training from start to folder."""

import json
from random import Random

import pytest
import torch
import torch.nn.functional as F

from core.models.clip import load_clip
from core.pretrain import adversary, augment, clip, clip_losses, wording
from core.pretrain.clip_batch import attribute_table, draw_batch
from core.pretrain.clip_quality import measure, pixel_ascent
from core.pretrain.pairs import paired_set, toggled
from core.worlds.portraits import ATTRIBUTE_PROMPTS, ATTRIBUTES, DOMAIN_PROMPTS, DOMAINS, sample

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"layers": [1, 1, 1, 1], "width": 4, "head_width": 16, "image_size": 64},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def pairs(cache):
    return paired_set(6, 3, cache)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(clip, "MODEL", TINY)
    monkeypatch.setattr(clip, "CONFIG", {**clip.CONFIG, "model_cfg": TINY})
    monkeypatch.setattr(clip, "PORTRAITS", 6)
    monkeypatch.setattr(clip, "PORTRAITS_SEED", 3)


def test_toggled_flips_exactly_the_named_attribute():
    people = sample(12, 0)
    others, which = toggled(people, 0)
    changed = people.attributes ^ others.attributes
    assert changed.sum(dim=1).eq(1).all() and changed.int().argmax(dim=1).equal(which)
    assert people.identity is others.identity and people.nuisance is others.nuisance


def test_plain_prompts_are_the_worlds_own():
    assert wording.domain_prompts() == list(DOMAIN_PROMPTS.values())
    assert wording.attribute_prompts("photo") == [prompt for pair in ATTRIBUTE_PROMPTS.values() for prompt in pair]
    assert wording.attribute_prompts("night")[1] == "a photo of a smiling person at night"


def test_varied_prompts_keep_their_number_and_depend_on_the_generator_alone():
    for prompts in (wording.domain_prompts, lambda rng: wording.attribute_prompts("sketch", rng)):
        assert prompts(Random(1)) == prompts(Random(1)) != prompts(Random(2))
    assert len(wording.attribute_prompts("sketch", Random(0))) == 2 * len(ATTRIBUTES)


def test_a_strange_word_leaves_the_text_around_it():
    reader = wording.Reader(24)
    plain, strange = reader(["a sketch of a person"]), reader(["a sketch of a person"], Random(0), strange_words=1.0)
    kept = [token for token in strange[0].tolist() if token in plain[0].tolist() and token]
    assert kept == [token for token in plain[0].tolist() if token]
    assert strange[0].argmax() == plain[0].argmax() + 1


def test_half_way_pictures_know_their_share():
    torch.manual_seed(0)
    a, b = torch.full((64, 3, 64, 64), -0.5), torch.full((64, 3, 64, 64), 0.5)
    blended, share = augment.blend(a, b, torch.rand(64, 1, 1, 1) < 0.5)
    assert blended.min() >= -0.5 and blended.max() <= 0.5
    torch.testing.assert_close(blended.mean(dim=(1, 2, 3)) + 0.5, share, atol=1e-4, rtol=0)
    mixed, share = augment.half_way(a, b)
    assert mixed.abs().max() <= 1 and share.min() >= 0 and share.max() <= 1


def test_a_picture_carried_too_far_is_worth_less_the_further_it_went():
    torch.manual_seed(0)
    b = torch.rand(64, 3, 64, 64) - 0.5
    worse, share = augment.spoiled(b)
    distance = (worse - b).flatten(1).norm(dim=1)
    assert share.min() >= 0.4 and torch.corrcoef(torch.stack([distance, share]))[0, 1] < -0.5


def test_augmented_groups_move_alike():
    torch.manual_seed(0)
    x = torch.rand(3, 3, 64, 64)
    moved = augment.move(torch.cat([x, x]), 3)
    assert moved[:3].equal(moved[3:]) and not moved[:3].equal(x)
    assert augment.degrade(moved).shape == (6, 3, 64, 64)


def test_perturbations_stay_in_the_ball_and_raise_the_loss():
    torch.manual_seed(0)
    x, target = torch.zeros(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    attacked = adversary.pgd(x, lambda images: (images * target).sum(), radius=2.0, steps=5)
    assert (attacked - x).flatten(1).norm(dim=1).le(2.0 + 1e-5).all()
    torch.testing.assert_close((attacked * target).flatten(1).sum(dim=1), 2.0 * target.flatten(1).norm(dim=1), rtol=0.03, atol=0)


@pytest.mark.long
def test_batches_tell_what_is_in_them(pairs):
    torch.manual_seed(0)
    batch = draw_batch(pairs, 5, wording.Reader(24))
    targets = batch.domain_targets()
    assert batch.images.shape == (20, 3, 64, 64) and batch.first.ne(batch.second).all()
    assert batch.same_caption.equal(batch.same_caption.T) and batch.same_caption.diagonal().all()
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(20))
    torch.testing.assert_close(targets[15:].gather(1, batch.second[:, None])[:, 0], batch.share)
    plain, _, flipped = batch.attributes.chunk(3)
    assert flipped.gather(1, batch.which[:, None])[:, 0].equal(batch.flipped_to) and (plain ^ flipped).sum() == 5
    domains, attributes = attribute_table(torch.arange(65.0)[:, None])
    assert domains.shape == (5, 1) and attributes[1, 0, 1] == 5 + 12 + 1


def test_contrast_does_not_punish_equal_captions():
    e = F.normalize(torch.randn(4, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    e = torch.cat([e[:2], e[:2]])
    same = torch.eye(4).bool() | torch.eye(4).roll(2, 0).bool()
    scale = torch.tensor(100.0)
    assert clip_losses.contrast_loss(e, e, same, scale) <= clip_losses.contrast_loss(e, e, torch.eye(4).bool(), scale) + 1e-5
    assert clip_losses.contrast_loss(e, e, same, scale) < 0.7  # log 2: two candidates that cannot and need not be told apart


def test_radii_grow_and_half_stay_small():
    torch.manual_seed(0)
    assert clip.radii(50, 0.0).max() == 0
    assert clip.radii(200, 0.9).max() <= clip.FULL_RADIUS
    assert (clip.radii(200, 0.9) <= clip.TRUSTED_RADIUS).float().mean() > 0.4


@pytest.mark.long
def test_trained_resumed_written_and_read_again(tiny, cache, tmp_path, monkeypatch):
    def trained(out, steps):
        arguments = ["clip", "--out", str(out), "--work", str(out) + "-work", "--cache", str(cache), "--steps", str(steps), "--batch", "8"]
        monkeypatch.setattr("sys.argv", [*arguments, "--threads", "1", "--device", "cpu"])
        monkeypatch.setattr(clip, "evaluate", lambda folder, sheets: None)
        clip.main()
        return load_clip(out)

    model = trained(tmp_path / "clip", 2)
    assert model.name == clip.TITLE and model.templates == wording.TEMPLATES
    assert json.loads((tmp_path / "clip" / "card.json").read_text())["steps"].startswith("2 batches")
    assert trained(tmp_path / "clip", 2).fingerprint == model.fingerprint  # nothing left to do
    figures = measure(model, people=4, attacked=1)
    assert {f"AUC {name}, photo" for name in ATTRIBUTES} < set(figures) and 0 <= figures["domain accuracy"] <= 1


def test_pixel_ascent_climbs(tiny):
    torch.manual_seed(0)
    clip_model = clip.build_clip(TINY).eval()
    images = torch.rand(2, 3, 64, 64) - 0.5

    class Plain:
        def encode_image(self, x):
            return F.normalize(clip_model.encode_image(x), dim=-1)

    direction = F.normalize(torch.randn(16), dim=0)
    changed = pixel_ascent(Plain(), images, direction, steps=8, l1=0.0)
    cosine = F.cosine_similarity(Plain().encode_image(changed) - Plain().encode_image(images), direction[None], dim=-1)
    assert cosine.min() > 0.1 and changed.abs().max() <= 1
    assert len(DOMAINS) == 5

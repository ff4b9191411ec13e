"""An axis for an attribute: the closed form on features that are known, and the teaching on a tiny model from start to folder."""

import copy
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchmetrics.functional.classification import binary_auroc

from core.models.clip import build_clip, load_clip
from core.pretrain import attempts, axis_fit, clip, clip_axis, common
from core.pretrain.axis_fit import Axis, Readings, axis_of, give_axis, open_ended, ridge, said_of, unused_direction
from core.worlds import portraits as world

pytestmark = pytest.mark.long

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"layers": [1, 1, 1, 1], "width": 4, "head_width": 16, "image_size": 64},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}
PICTURES = {"photo": 6, "sketch": 3, "painting": 3, "night": 3, "cartoon": 3}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def tiny(monkeypatch):
    """The recipe with a tiny model and few pictures."""
    monkeypatch.setattr(clip, "MODEL", TINY)
    monkeypatch.setattr(clip, "CONFIG", {**clip.CONFIG, "model_cfg": TINY})
    monkeypatch.setattr(axis_fit, "PICTURES", PICTURES)
    monkeypatch.setattr(axis_fit, "CAPTIONED", 2)
    monkeypatch.setattr(clip_axis, "DRAWN", PICTURES)
    monkeypatch.setattr(clip_axis, "GROUPS", {**dict.fromkeys(PICTURES, 1), "photo": 2})
    monkeypatch.setattr(clip, "measure", lambda _: {"domain accuracy": 0.5})
    monkeypatch.setattr(clip, "write_sheets", lambda *_: None)


@pytest.fixture
def teacher(tiny, tmp_path):
    torch.manual_seed(0)
    clip.export(build_clip(TINY), tmp_path / "teacher", {"data": "none"})
    return tmp_path / "teacher"


def test_ridge_finds_what_is_linear_and_its_strength_shrinks_it():
    torch.manual_seed(0)
    features, true = torch.randn(200, 5) * torch.tensor([1.0, 10.0, 0.1, 1.0, 1.0]), torch.randn(5, 2)
    read = Readings(features, torch.zeros(200), torch.ones(200))
    torch.testing.assert_close(ridge(read, features @ true, 1e-8), true, atol=1e-3, rtol=1e-3)
    assert ridge(read, features @ true, 10.0).norm() < 0.3 * true.norm()


def test_samples_of_no_weight_do_not_count():
    torch.manual_seed(0)
    features, wanted = torch.randn(60, 3), torch.randn(60, 1)
    half = torch.cat([torch.ones(30), torch.zeros(30)])
    found = ridge(Readings(features, half, half), wanted, 1e-6)
    torch.testing.assert_close(found, ridge(Readings(features[:30], half[:30], half[:30]), wanted[:30], 1e-6), atol=1e-4, rtol=1e-4)


def test_the_axis_lies_where_nothing_else_does():
    torch.manual_seed(0)
    embeddings = F.normalize(torch.randn(50, 3) @ torch.randn(3, 16) + torch.randn(16), dim=1)
    texts = F.normalize(torch.randn(3, 16), dim=1)
    unit = unused_direction(embeddings, texts)
    assert unit.norm().item() == pytest.approx(1)
    assert (texts @ unit).abs().max() < 1e-5 and ((embeddings - embeddings.mean(0)) @ unit).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("attribute", "caption", "sign"),
    [
        ("beard", "a photo of a person with a beard", 1.0),
        ("beard", "a sketch of a face without a beard.", -1.0),
        ("beard", "a clean-shaven old person", -1.0),
        ("beard", "a photo of a person with a hat", 0.0),
        ("smiling", "a photo of a not smiling person", -1.0),
        ("smiling", "an unsmiling face", -1.0),
        ("old", "a cold photo of an old person", 1.0),
        ("old", "a cold photo of a person", 0.0),
    ],
)
def test_what_a_caption_says_of_an_attribute(attribute, caption, sign):
    assert said_of(attribute, caption) == sign


def test_every_caption_is_read_as_it_was_written():
    people = world.sample(40, 3)
    for attribute in world.ATTRIBUTES:
        for domain in world.DOMAINS:
            signs = [said_of(attribute, caption) for caption in world.captions(people, domain, 1)]
            truth = getattr(people, attribute).tolist()
            assert all(sign in (0.0, 1.0 if has else -1.0) for sign, has in zip(signs, truth, strict=True)), (attribute, domain)
            assert any(signs), "some captions name it"


def test_the_closed_form_separates_what_the_tower_tells_apart(tiny, monkeypatch):
    """Of features in which the attribute is a number among others, along an axis that both towers share; other texts stay."""
    monkeypatch.setattr(axis_fit, "HALF_OF_IMAGES", 0.3)  # as long as for texts, so that it shows among random numbers
    torch.manual_seed(0)
    model = build_clip(TINY).eval().requires_grad_(False)
    width, depth = model.visual.attnpool.c_proj.in_features, model.text_projection.shape[0]
    signs = torch.tensor([-1.0, 1.0]).repeat(40)
    pictures = Readings(torch.randn(80, width), signs, torch.ones(80))
    pictures.features[:, 0] = 2 * signs
    texts = Readings(torch.randn(60, depth), torch.tensor([-1.0, 0.0, 1.0]).repeat(20), torch.ones(60))
    texts.features[:, 0] = 2 * texts.signs
    before = texts.features @ model.text_projection
    axis = axis_of(model, pictures, F.normalize(torch.randn(4, 16), dim=1))
    give_axis(model, axis, pictures, texts)
    pool = model.visual.attnpool
    embedded = F.normalize(pictures.features @ pool.c_proj.weight.T + pool.c_proj.bias, dim=1) @ axis.unit
    assert binary_auroc(embedded, (signs > 0).long()) > 0.9
    said = F.normalize(texts.features @ model.text_projection, dim=1) @ axis.unit
    assert said[texts.signs > 0].mean() > 0.1 > -0.1 > said[texts.signs < 0].mean()
    neutral = texts.signs == 0
    after = (texts.features @ model.text_projection)[neutral]
    assert F.cosine_similarity(after, before[neutral]).mean() > 0.98


def test_open_ended_towers_give_what_the_projections_are_given(tiny, teacher):
    model = load_clip(teacher).model
    opened, x = open_ended(model), torch.randn(3, 3, 64, 64)
    pool = model.visual.attnpool
    projected = opened.encode_image(x) @ pool.c_proj.weight.T + pool.c_proj.bias
    torch.testing.assert_close(projected, model.encode_image(x), atol=1e-4, rtol=1e-3)
    tokens = load_clip(teacher).tokenizer(["a photo of a person"])
    torch.testing.assert_close(opened.encode_text(tokens) @ model.text_projection, model.encode_text(tokens), atol=1e-4, rtol=1e-3)


def test_the_share_of_the_way_is_the_share_of_the_change():
    torch.manual_seed(0)
    without, having = torch.zeros(8, 3, 64, 64), torch.zeros(8, 3, 64, 64)
    having[..., 40:60, 20:44] = 0.5
    mixed, share = clip_axis.part_way(without, having)
    torch.testing.assert_close(share, mixed[..., 40:60, 20:44].mean(dim=(1, 2, 3)) / 0.5, atol=1e-4, rtol=0)
    assert share.std() > 0.1 and mixed[..., :40, :].abs().max() == 0


def test_dye_is_the_same_for_all_pictures_of_a_group():
    torch.manual_seed(0)
    x = torch.zeros(12, 3, 16, 16)
    dyed = clip_axis.tinted(x, 4)
    for k in range(3):
        assert torch.equal(dyed[4 * k : 4 * k + 4], dyed[:4])
    assert dyed.abs().amax(dim=(1, 2, 3)).max() > 0.05


def training(cache, made=None):
    torch.manual_seed(0)
    teacher = build_clip(TINY).eval()
    unit = F.normalize(torch.randn(16), dim=0)
    pairs = {domain: attempts.without_and_with("beard", domain, count, cache) for domain, count in PICTURES.items()}
    return clip_axis.AxisTraining(copy.deepcopy(teacher), teacher, Axis(unit, 0.3 * unit), pairs, made, 3e-3, torch.device("cpu"))


def test_a_batch_says_of_each_picture_what_is_true(tiny, cache):
    graded = attempts.Attempts(np.full((3, 3, 64, 64), 128, np.uint8), torch.arange(3), torch.zeros(3), torch.full((3,), 0.25))
    images, signs = training(cache, graded).batch()
    groups = sum(clip_axis.GROUPS.values())
    assert len(images) == len(signs) == 3 * groups + clip_axis.ATTEMPTS
    assert signs[:groups].eq(-1).all() and signs[groups : 2 * groups].eq(1).all()
    assert signs[2 * groups : 3 * groups].abs().max() <= 1 and signs[3 * groups :].eq(-0.5).all()


def test_it_learns_the_axis_and_leaves_text_and_statistics_alone(tiny, cache):
    taught = training(cache)
    before = copy.deepcopy(taught.model.state_dict())
    signs = torch.tensor([-1.0, 1.0]).repeat(4)
    pictures = (0.5 * signs).view(8, 1, 1, 1) + 0.1 * torch.randn(8, 3, 64, 64)
    taught.batch = lambda: (pictures.clone(), signs)
    losses = [float(taught.step(step, 0.3)["along"]) for step in range(40)]
    assert sum(losses[-4:]) < 0.5 * sum(losses[:4])
    for name, value in taught.model.state_dict().items():
        learned = name.startswith("visual.") and "running_" not in name and "num_batches" not in name
        assert learned or torch.equal(value, before[name]), name


def test_from_a_teacher_to_a_folder_and_further(tiny, teacher, cache, tmp_path, monkeypatch):
    def run(*arguments):
        given = ["beard", "--teacher", str(teacher), "--cache", str(cache), "--threads", "1", *arguments]
        monkeypatch.setattr("sys.argv", ["clip_axis", *given])
        clip_axis.main()
        return common.read_card(tmp_path / "out")

    out = ("--out", str(tmp_path / "out"))
    card = run("--steps", "2", *out)
    assert card["data"] == "none" and card["measured"] == {"domain accuracy": 0.5} and "2 batches" in card["an axis for beard"]
    first = load_clip(tmp_path / "out").model.state_dict()
    assert not torch.equal(first["visual.attnpool.c_proj.weight"], load_clip(teacher).model.state_dict()["visual.attnpool.c_proj.weight"])

    folder = attempts.attempts_folder(cache, "beard")
    folder.mkdir()
    numbers = {"portrait": np.arange(2), "domain": np.zeros(2), "grades": np.zeros(2, np.float32)}
    np.savez(folder / "1-beard.npz", images=np.zeros((2, 3, 64, 64), np.uint8), **numbers)
    card = run("--steps", "1", "--initial", str(tmp_path / "out"), *out)
    assert "2 pictures that edits had made" in card["an axis for beard, taught further"] and "2 batches" in card["an axis for beard"]
    again = load_clip(tmp_path / "out").model.state_dict()
    assert torch.equal(again["text_projection"], first["text_projection"]), "the axis is put there once"
    assert json.loads((tmp_path / "out" / "card.json").read_text())["templates"] == list(clip.TEMPLATES)


def test_attempts_at_an_attribute_are_graded_by_the_change_of_lightness():
    source = torch.zeros(1, 3, 64, 64)
    target = source.clone()
    target[..., 40:60, 20:44] = -0.5
    elsewhere = target.clone()
    elsewhere[..., :10, :] = 0.8
    dyed = target + torch.tensor([0.3, -0.3, 0.0]).view(3, 1, 1)
    for picture, grade in ((source, 0), (target, 1), ((source + target) / 2, 0.5), (elsewhere, 1), (dyed, 1), (-target, 0)):
        assert attempts.attribute_grade(picture, source, target).item() == pytest.approx(grade, abs=0.01)

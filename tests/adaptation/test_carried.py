"""Labelled scenes carried by a personalised model: where what is large lies, what is pasted back, and that a stop loses nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as transforms

from core.adaptation.carried import Carrying, carry_scenes, is_carried
from core.adaptation.jobs import in_foreground
from core.adaptation.oneshot_jobs import PersonaliseTask, kept_checkpoints
from core.adaptation.segment import _lesson
from core.adaptation.segment_fit import Lesson, SegmentTraining
from core.adaptation.segment_jobs import CARRIED, SegmentTask
from core.adaptation.segment_pixels import Scenes
from core.adaptation.segment_results import mious
from core.adaptation.segmenter import new_segmenter
from core.data.segmented import read_segmented
from core.jobs.tasks import Tools
from core.methods.datum_carry import CarrySettings, carry, edged, recoloured
from core.methods.datum_settings import DatumTune
from core.models.text_to_image import load_text_to_image
from core.types import Context, ShiftlabError, Stopped
from tests.adaptation.segment_helpers import CLASSES, labelled, quick, scenes, write_backbone
from tests.tiny_text_to_image import write_text_to_image

QUICK = CarrySettings(scenes=5, steps=2, return_step=600)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_text_to_image(write_text_to_image(tmp_path_factory.mktemp("models") / "tiny"), dtype=torch.float32)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return labelled(tmp_path_factory.mktemp("source") / "set")


def test_recoloured_has_the_means_and_spreads_of_the_other():
    x, like = torch.rand(2, 3, 16, 16) - 0.5, 0.2 * torch.rand(2, 3, 16, 16) - 0.6
    after = recoloured(x, like)
    for of in (torch.mean, torch.std):
        assert torch.allclose(of(after, (2, 3)), of(like, (2, 3)), atol=1e-5)
    assert recoloured(torch.full((1, 3, 8, 8), 0.3), like[:1, :, :8, :8]).isfinite().all(), "one colour has no spread"


def test_edged_has_the_colours_of_one_picture_and_the_edges_of_the_other():
    sharp = torch.full((1, 3, 32, 32), 0.8)
    sharp[..., 13:] = -0.6
    blurred = -0.5 * transforms.gaussian_blur(sharp, [15, 15], [4.0, 4.0])
    after = edged(blurred, sharp)
    step = (after[..., 12] - after[..., 13]).abs().mean()
    assert step > 3 * (blurred[..., 12] - blurred[..., 13]).abs().mean(), "the edge is where it was, and steep"
    assert (after - blurred).abs().mean() < 0.1 and after[..., 0].mean() < 0 < after[..., -1].mean(), "in the other's colours"
    assert torch.allclose(edged(sharp, sharp), sharp, atol=0.05)


@pytest.mark.long
def test_up_with_one_model_and_down_with_the_other(model):
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    many = CarrySettings(steps=60, return_step=120, scene_prompt="a street")
    there_and_back = carry(model, model, x, "a street", many, Context(None))
    autoencoded = model.to_images(model.to_latents(x)).clamp(-1, 1).detach()
    off, apart = (there_and_back - autoencoded).abs().mean(), (autoencoded[0] - autoencoded[1]).abs().mean()
    assert off < 0.5 * apart, "with one model and one prompt the walks are each other's opposites, but for the last step to t = -1"
    assert not torch.equal(there_and_back, carry(model, model, x, "a night", many, Context(None)))
    with pytest.raises(Stopped):
        carry(model, model, x, "a street", many, Context(None, should_stop=lambda: True))


def test_masks_come_along(model, source, tmp_path):
    carrying = Carrying(source, model, model, "a night", QUICK)
    events = list(carry_scenes(carrying, tmp_path / "carried", Context(None)))
    assert [event.step for event in events] == [0, 5] and events[-1].total == 5 and is_carried(tmp_path / "carried")
    found = read_segmented(tmp_path / "carried")
    assert len(found.split("train")) == 5 and found.classes.classes == CLASSES.classes
    item, original = found.items[0], source.split("train")[0]
    picture, mask = np.array(found.picture(item), float), found.mask(item)
    assert picture.shape == (16, 16, 3), "a square of the model's size, as high as the scene"
    at = next(k for k in range(17) if np.array_equal(source.mask(original)[:, k : k + 16], mask))
    before = np.array(source.picture(original), float)[:, at : at + 16]
    assert np.abs(picture - before).mean() > 10


def test_a_scene_keeps_its_own_contrast_where_that_is_asked(model, source, tmp_path):
    def pictures(name, **settings):
        carrying = Carrying(source, model, model, "a night", QUICK.model_copy(update=settings))
        list(carry_scenes(carrying, tmp_path / name, Context(None)))
        found = read_segmented(tmp_path / name)
        return np.stack([np.array(found.picture(item), float) for item in found.items])

    carried, mixed = pictures("carried"), pictures("mixed", contrast=1.0)
    off = np.abs(carried - mixed).mean((1, 2, 3))
    assert (off > 0).all() and off.max() > 1.5 * off.min(), "some more and some less"
    assert mixed.mean() == pytest.approx(carried.mean(), abs=2), "in the carried colours"


@pytest.mark.long
def test_a_stop_loses_nothing(model, source, tmp_path, monkeypatch):
    monkeypatch.setattr("core.adaptation.carried.BATCH", 2)
    whole, part, asked = Carrying(source, model, model, "a night", QUICK), tmp_path / "part", []
    list(carry_scenes(whole, tmp_path / "whole", Context(None)))
    with pytest.raises(Stopped):
        list(carry_scenes(whole, part, Context(None, should_stop=lambda: len(asked) > 5 or asked.append(1))))
    there = sorted(path.name for path in part.rglob("*.png"))
    assert 0 < len(there) < 10  # images and masks and not is_carried(part)
    assert "there already" in next(carry_scenes(whole, part, Context(None))).note
    list(carry_scenes(whole, part, Context(None)))
    for path in (tmp_path / "whole").rglob("*.png"):
        one, other = (read_segmented(folder) for folder in (tmp_path / "whole", part))
        assert len(one) == len(other) == 5
        assert (part / path.relative_to(tmp_path / "whole")).is_file()


def test_classes_that_are_not_there_are_named(model, source, tmp_path):
    carrying = Carrying(source, model, model, "a night", CarrySettings(large="grass, water"))
    with pytest.raises(ShiftlabError, match=r"large classes \(grass, water\) is in the source set, which has road, car, sky"):
        list(carry_scenes(carrying, tmp_path, Context(None)))


def test_a_source_without_a_split_is_a_sentence(model, source, tmp_path):
    whole = replace(source, items=tuple(item._replace(split="") for item in source.items))
    with pytest.raises(ShiftlabError, match="no train split, so there is nothing to carry"):
        list(carry_scenes(Carrying(whole, model, model, "a night", QUICK), tmp_path, Context(None)))


def test_carried_crops_take_half_of_the_places_and_the_cars_are_all_there(tmp_path):
    def set_of(shade, number):
        images = np.full((4, 3, 16, 32), shade, np.uint8)
        images[:, :, 4:10, 4:20] = 200
        masks = np.full((4, 16, 32), number, np.uint8)
        masks[:, 4:10, 4:20] = 2
        return Scenes(images, masks, np.stack([np.bincount(mask.ravel(), minlength=3) for mask in masks]))

    day, night = set_of(120, 0), set_of(20, 1)
    found = new_segmenter(str(write_backbone(tmp_path / "mit")), CLASSES, 0, "cpu", torch.float32)
    lesson = Lesson("carried", day, None, {"source": day}, night, (2,))
    training = SegmentTraining(lesson, found, quick(tmp_path / "mit", jitter=0.0, blur=0.0), 0)
    x = torch.zeros(4, 3, 16, 16)
    y = torch.zeros(4, 16, 16, dtype=torch.uint8)
    y[:, 2:5, 2:5] = 2
    after, labels = training._with_carried(x, y, torch.Generator().manual_seed(0))
    assert torch.equal(after[:2], x[:2]) and torch.equal(labels[:2], y[:2])
    assert (labels[2:, 2:5, 2:5] == 2).all(), "a car of the labelled crop is pasted onto the carried one"
    seen = {int(place) for k in range(6) for place in training._with_carried(x, y, torch.Generator().manual_seed(k))[1][2:].unique()}
    assert seen == {0, 1, 2}, "the carried crop lies below, and half of the labelled crop's other classes upon it"
    alone = SegmentTraining(Lesson("source", day, None, {"source": day}), found, quick(tmp_path / "mit"), 0)
    assert alone._with_carried(x, y, torch.Generator())[0] is x


@pytest.mark.long
def test_the_arm_needs_a_personalised_model_and_learns_with_one(model, source, tmp_path):
    scenes(1, 20, 0.4)[0].image.save(tmp_path / "one.png")
    context = Context(None, text_to_image=lambda: model)
    tools = Tools(context, {}, lambda key: None)
    learned = PersonaliseTask(images=(tmp_path / "one.png",), settings=DatumTune(steps=1, checkpoint_every=1, sample_steps=2, rank=2))
    list(in_foreground(learned, tmp_path / "learned", "night", tools))
    (_, weights), *_ = kept_checkpoints(tmp_path / "learned")
    given = {
        "source": source.save(tmp_path / "source.jsonl"), "one_shot": tmp_path / "one.png", "arms": ("source", "carried"),
        "settings": quick(write_backbone(tmp_path / "mit")), "carry": QUICK,
    }  # fmt: skip
    with pytest.raises(ShiftlabError, match="Personalise one on the target image first"):
        list(in_foreground(SegmentTask(**given), tmp_path / "without", "night", tools))
    with pytest.raises(ShiftlabError, match="teaches itself on the target image, and none is given"):
        list(in_foreground(SegmentTask(**{**given, "one_shot": None}, weights=weights), tmp_path / "blind", "night", tools))
    task = SegmentTask(**given, weights=weights)
    events = list(in_foreground(task, tmp_path / "run", "night", tools))
    assert {event.phase for event in events} == {"carry", "read", "train on source", "train on carried"}
    assert set(mious(tmp_path / "run")["trained on"]) == {"source", "carried"}
    weights.unlink()
    (tmp_path / "run" / "measured" / "carried-0.safetensors").unlink()
    again = [event.phase for event in in_foreground(task, tmp_path / "run", "night", tools)]
    assert "carry" not in again and (tmp_path / "run" / CARRIED / "classes.json").is_file(), "what was carried needs its model no more"


def test_carried_scenes_teach_with_and_without_the_one_image(tmp_path):
    night = Scenes(np.zeros((2, 3, 16, 32), np.uint8), np.zeros((2, 16, 32), np.uint8), np.full((2, 3), 512))
    parts = {"source train": night, "source test": night, "carried": night, "one_shot": night}
    for teaches in (True, False):
        settings = quick(write_backbone(tmp_path / "mit"), carried_teaches=teaches, iterations=9, adapt_iterations=4)
        lesson = _lesson("carried", parts, settings, (2,))
        assert (lesson.target is not None) is teaches and lesson.updates(settings) == 4, "it adapts either way"
        training = SegmentTraining(lesson, new_segmenter(settings.model, CLASSES, 0, "cpu", torch.float32), settings, 0)
        assert training.rate == settings.adapt_rate
        training.update()
        assert ("confidence" in training.sums) is teaches

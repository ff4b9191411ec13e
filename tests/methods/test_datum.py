"""Drawing with a tiny random Stable Diffusion: DATUM's second stage, and DATUM as a method for portraits."""

import dataclasses

import pytest
import torch

from core.methods.datum import Datum, DatumEdit
from core.methods.datum_generate import drawn, filled, plan
from core.methods.datum_settings import DatumTune, GenerateSettings
from core.types import EditRequest, EditResult, ShiftlabError, Stopped, TrainRequest
from tests.methods.conftest import LESSON, learned
from tests.tiny_text_to_image import IMAGE_SIZE


def test_the_plan_takes_one_of_each_class_in_turn():
    table = [("traffic light", 2), ("car", 3), ("", 5), ("bus", 0)]
    made = plan(table, GenerateSettings(), "ohwx", 100)
    assert [picture.name for picture in made] == ["traffic light", "car", "traffic light", "car", "car"]
    assert [picture.seed for picture in made] == [100, 101, 102, 103, 104]
    assert made[0].prompt == "a photo of a ohwx urban scene with a traffic light"
    assert filled("a photo of a {token} {class}", "", "car") == "a photo of a car"
    with pytest.raises(ShiftlabError, match=r"1,000,000,001 pictures; 100,000 are the most"):
        plan([("car", 10**9), ("bus", 1)], GenerateSettings(), "", 0)
    with pytest.raises(ShiftlabError, match="no class to generate"):
        plan([("", 3), ("car", 0)], GenerateSettings(), "ohwx", 0)
    assert len(plan([("bus", -5), ("car", 2)], GenerateSettings(), "", 0)) == 2
    with pytest.raises(ValueError, match=r"must hold \{class\}"):
        GenerateSettings(template="a photo of a {token}")


def test_pictures_belong_to_their_seeds(prompted, text_to_image):
    prompts = ["a car", "a bus", "a car"]
    together = drawn(text_to_image, prompts, [1, 2, 3], 3, 2.0, prompted)
    alone = drawn(text_to_image, prompts[1:2], [2], 3, 2.0, prompted)
    assert together.shape == (3, 3, IMAGE_SIZE, IMAGE_SIZE) and together.abs().max() <= 1
    assert torch.allclose(together[1:2], alone, atol=1e-3) and not torch.allclose(together[:1], together[2:], atol=0.05)
    prompted.should_stop = lambda: True
    with pytest.raises(Stopped):
        drawn(text_to_image, prompts, [1, 2, 3], 3, 2.0, prompted)


@pytest.fixture
def portraits() -> torch.Tensor:
    return torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1


def edited(prompted, portraits, edits=(), **settings) -> EditResult:
    settings = DatumEdit(**{"generation_steps": 4, "guidance": 2.0, **settings})
    return list(Datum().edit(EditRequest(portraits, settings, tuple(edits), seed=3), prompted))[-1]


@pytest.mark.long
def test_a_portrait_is_learned_and_drawn(prompted, portraits):
    *_, edit = Datum().train(TrainRequest(portraits, DatumTune(**LESSON, layers="all"), "portrait", 7), prompted)
    free = edited(prompted, portraits, [edit], start="noise")
    assert free.images.shape == portraits.shape and "generate" in free.timing and "psnr" in free.scores[0]
    other = edited(prompted, portraits.flip(0), [edit], start="noise")
    assert torch.equal(free.images, other.images)  # nothing of the pictures is in it
    plain = edited(prompted, portraits, instance_prompt="a photo of a {token} urban scene", start="noise")
    assert not torch.allclose(plain.images, free.images, atol=0.05)
    alone = edited(prompted, portraits[:1], [edit], start="noise")
    assert torch.allclose(alone.images, free.images[:1], atol=1e-3)


def test_a_picture_is_kept_the_more_the_lower_the_return_step(prompted, portraits):
    from_afar, near = (edited(prompted, portraits, start="picture", return_step=t, instance_prompt="a car") for t in (900, 40))
    reconstructed = edited(prompted, portraits, start="picture", return_step=20, instance_prompt="a car").images
    away = [(result.images - reconstructed).abs().mean() for result in (from_afar, near)]
    assert away[0] > 2 * away[1]


@pytest.mark.long
def test_drawing_says_what_is_missing(prompted, text_to_image, portraits):
    with pytest.raises(ShiftlabError, match="no prompt to draw from"):
        edited(prompted, portraits)
    edit = learned(prompted, portraits[0], steps=1)[1]
    with pytest.raises(ShiftlabError, match="one personalised model"):
        edited(prompted, portraits, [edit, edit])
    other = dataclasses.replace(edit, card=edit.card.model_copy(update={"base_fingerprint": "0123456789abcdef"}))
    with pytest.raises(ShiftlabError, match="was personalised on"):
        edited(prompted, portraits, [other])
    assert torch.equal(edited(prompted, portraits, [other], any_base=True).images, edited(prompted, portraits, [edit]).images)
    with pytest.raises(ShiftlabError, match="no target image"):
        Datum().train(TrainRequest(portraits[:0], DatumTune(), "x"), prompted)


def test_the_work_counts_calls():
    settings = DatumTune(steps=100, batch_size=2, checkpoint_every=50, sample_steps=10)
    work = Datum().work(settings, 1, 4)
    alike = Datum().work(settings.model_copy(update={"prior_weight": 1.0, "class_images": 10}), 1, 4)
    assert work.learning > 0 and alike.inference > work.inference
    assert abs(alike.learning - 2 * work.learning) <= 1  # each is rounded up

"""DATUM's personalisation and the text-to-image DomainStudio on a tiny Stable Diffusion: the loop to the bit, the file, the losses."""

import dataclasses

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open

from core.data.checkpoints import FolderCheckpoints
from core.data.edits import load_edit, read_card, save_edit
from core.methods.datum_batch import Batches, resized
from core.methods.datum_domainstudio import PromptDomainStudioLosses, PromptDomainStudioTune, tune_domainstudio
from core.methods.datum_personalise import personalise
from core.methods.datum_settings import DatumTune
from core.methods.datum_student import PromptStudent, personalised
from core.models.text_to_image import load_text_to_image
from core.types import ShiftlabError, Stopped
from tests.methods.conftest import LESSON, Memory, learned, updates
from tests.tiny_text_to_image import IMAGE_SIZE, LATENT_SIZE, write_text_to_image

WAYS = [{}, {"layers": "all", "text_encoder": True, "alpha": 4}, {"rank": 0, "text_encoder": True}, {"prior_weight": 1.0}]


@pytest.mark.long
@pytest.mark.parametrize("settings", WAYS)
def test_stopped_and_resumed_equals_uninterrupted_to_the_bit(prompted, shot, settings, tmp_path):
    _, whole = learned(prompted, shot, **settings)
    seen, task = [], DatumTune(**{**LESSON, **settings})
    prompted.checkpoints, prompted.should_stop = FolderCheckpoints(tmp_path), lambda: len(seen) >= 3
    with pytest.raises(Stopped):
        for event in personalise(shot, task, "night", 7, prompted):
            seen.extend(updates([event]))
    torch.manual_seed(123)  # another process would have another one
    prompted.checkpoints, prompted.should_stop = FolderCheckpoints(tmp_path), lambda: False
    *events, resumed = personalise(shot, task, "night", 7, prompted)
    assert [event.step for event in updates(events)] == [4] and not [event for event in events if event.phase == "class images"]
    assert all(torch.equal(whole.weights[name], resumed.weights[name]) for name in whole.weights)


@pytest.mark.long
@pytest.mark.parametrize("settings", WAYS)
def test_the_file_predicts_as_the_student_does(prompted, text_to_image, shot, settings, tmp_path):
    _, edit = learned(prompted, shot, **settings)
    student = PromptStudent(text_to_image, DatumTune(**{**LESSON, **settings}), 7)
    student.restore(prompted.checkpoints.kept["weights"])
    save_edit(tmp_path / "edit.safetensors", edit, {})
    loaded = personalised(text_to_image, load_edit(tmp_path / "edit.safetensors", {}))
    z, t = torch.randn(2, 4, LATENT_SIZE, LATENT_SIZE, generator=torch.Generator().manual_seed(0)), torch.tensor([3, 700])
    with torch.no_grad():
        own, theirs, before = (each.eps(z, t, each.embed(["a red car"] * 2)) for each in (student.model, loaded, text_to_image))
    tolerance = 2e-3 if settings.get("rank") == 0 else 1e-5  # whole networks are kept in half precision
    assert torch.allclose(own, theirs, atol=tolerance) and (own - before).abs().max() > 10 * tolerance


@pytest.mark.long
def test_diffusers_reads_the_file_and_the_card_is_in_it(prompted, text_to_image, pipeline_folder, shot, tmp_path):
    _, edit = learned(prompted, shot, layers="all", text_encoder=True, alpha=8)
    path = tmp_path / "step_000004.safetensors"
    save_edit(path, edit, {})
    card = read_card(path)
    assert (card.name, card.method, card.network, card.base_fingerprint) == ("night", "datum", "text_to_image", text_to_image.fingerprint)
    assert (card.metrics["step"], card.target_prompt, card.settings["token"]) == (4, "a photo of a ohwx urban scene", "ohwx")
    with safe_open(path, framework="pt") as file:
        assert all(".lora_A.weight" in name or ".lora_B.weight" in name for name in file.keys())  # noqa: SIM118
    pipeline = StableDiffusionPipeline.from_pretrained(pipeline_folder)
    pipeline.load_lora_weights(path)
    ours = personalised(text_to_image, edit)
    tokens = text_to_image.tokenizer(["a red car"], padding="max_length", truncation=True, return_tensors="pt").input_ids
    z, t = torch.randn(1, 4, LATENT_SIZE, LATENT_SIZE), torch.tensor([500])
    with torch.no_grad():
        theirs = pipeline.text_encoder(tokens).last_hidden_state
        assert torch.allclose(theirs, ours.embed(["a red car"]), atol=1e-5) and not torch.allclose(
            theirs, text_to_image.embed(["a red car"]), atol=1e-3
        )
        assert torch.allclose(pipeline.unet(z, t, theirs).sample, ours.eps(z, t, theirs), atol=1e-5)


@pytest.mark.long
def test_adapters_begin_as_nothing_and_only_they_learn(prompted, text_to_image, shot):
    student = PromptStudent(text_to_image, DatumTune(**LESSON, text_encoder=True))
    assert all(".lora_" in name for name in student.learning) and {name.split(".")[0] for name in student.learning} == {
        "unet",
        "text_encoder",
    }
    assert all("attn" in name for name in student.learning)
    cross = PromptStudent(text_to_image, DatumTune(**LESSON, layers="cross-attention")).learning
    assert cross and all(".attn2." in name for name in cross) and len(cross) < len(student.learning)
    z, t = torch.randn(1, 4, LATENT_SIZE, LATENT_SIZE), torch.tensor([500])
    with torch.no_grad():
        embeddings = student.embeddings("a car", 1)
        assert torch.equal(embeddings, text_to_image.embed(["a car"])) and torch.equal(
            student.model.eps(z, t, embeddings), text_to_image.eps(z, t, embeddings)
        )
    before = text_to_image.fingerprint
    learned(prompted, shot, rank=0, text_encoder=True)
    del text_to_image.__dict__["fingerprint"]
    assert text_to_image.fingerprint == before  # the model itself is frozen


@pytest.mark.long
def test_it_learns_the_image(prompted, shot):
    """A grey image again and again: the student denoises it better than the model did."""
    grey = torch.full_like(shot, 0.3)
    losses = [event.numbers["loss"] for event in updates(learned(prompted, grey, steps=30, rank=0, batch_size=2, checkpoint_every=30)[0])]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


@pytest.mark.long
def test_checkpoints_are_kept_on_the_way(prompted, shot):
    kept = {}
    events, edit = learned(prompted, shot, lambda step, made: kept.setdefault(step, made), steps=5)
    assert list(kept) == [2, 4, 5] and kept[2].card.metrics == {"step": 2}
    assert [event.step for event in events if event.phase == "sample"] == [2, 4, 5]
    _, short = learned(dataclasses.replace(prompted, checkpoints=Memory()), shot, steps=2)
    assert all(torch.equal(kept[2].weights[name], short.weights[name]) for name in short.weights)
    assert all(torch.equal(kept[5].weights[name], edit.weights[name]) for name in edit.weights)


@pytest.mark.long
def test_samples_say_how_much_they_vary(prompted, shot):
    prompted.perceptual = type("Raw", (), {"vectors": staticmethod(lambda images: images.flatten(1))})
    events, edit = learned(prompted, shot, steps=2)
    sample = next(event for event in events if event.phase == "sample")
    assert sample.images.shape == (4, 3, IMAGE_SIZE, IMAGE_SIZE) and 0 < sample.numbers["variety"] < 10
    assert edit.card.metrics["variety"] == sample.numbers["variety"]


def test_crops_come_from_all_over_the_resized_image(text_to_image):
    ramp = torch.linspace(-1, 1, 64).expand(3, 32, 64)
    wide = resized(ramp, 24, 16)
    assert wide.shape == (3, 24, 48) and resized(ramp, None, 16).shape == (3, 32, 64)
    batches = Batches(text_to_image, [wide], None, 8, 0)
    crops = torch.cat([batches.at(step).crops for step in range(8)])
    assert crops.shape == (64, 3, 16, 16) and crops[:, 0, 0, 0].min() < -0.9 and crops[:, 0, 0, -1].max() > 0.9
    assert torch.equal(batches.at(3).target.z, batches.at(3).target.z) and not torch.equal(batches.at(3).crops, batches.at(4).crops)


@pytest.mark.long
def test_prior_preservation_learns_from_the_models_own_pictures(prompted, shot):
    events, _ = learned(prompted, shot, prior_weight=0.5, batch_size=2)
    assert [event.step for event in events if event.phase == "class images"] == [3]
    assert all(event.numbers["loss"] == pytest.approx(event.numbers["denoising"] + event.numbers["prior"]) for event in updates(events))
    assert prompted.checkpoints.kept["class images"]["latents"].shape == (3, 4, LATENT_SIZE, LATENT_SIZE)


@pytest.mark.long
def test_class_images_that_were_drawn_are_kept(prompted, shot):
    """Stopped in the second batch of ten: the first eight are not drawn again, and what is learned from all is the same."""
    _, whole = learned(prompted, shot, prior_weight=1.0, class_images=10)
    begun, drawn = dataclasses.replace(prompted, checkpoints=Memory()), []
    begun.should_stop = lambda: bool(drawn)
    with pytest.raises(Stopped):
        for event in personalise(shot, DatumTune(**{**LESSON, "prior_weight": 1.0, "class_images": 10}), "night", 7, begun):
            drawn.append(event)
    assert begun.checkpoints.kept["class images"]["latents"].shape[0] == 8 and "step" not in begun.checkpoints.kept
    begun.should_stop = lambda: False
    events, edit = learned(begun, shot, prior_weight=1.0, class_images=10)
    assert [event.step for event in events if event.phase == "class images"] == [10]
    assert all(torch.equal(whole.weights[name], edit.weights[name]) for name in whole.weights)


@pytest.mark.long
def test_a_run_goes_on_with_its_own_model_only(prompted, shot, tmp_path):
    learned(prompted, shot, steps=2)
    other = load_text_to_image(write_text_to_image(tmp_path / "other", seed=1), dtype=torch.float32)
    with pytest.raises(ShiftlabError, match=f"but {other.fingerprint} .* is loaded"):
        learned(dataclasses.replace(prompted, text_to_image=lambda: other), shot)


@pytest.mark.long
def test_what_is_wrong_is_a_sentence(prompted, text_to_image, shot):
    for wrong, said in (
        ({"token": "V*"}, r"reads the token “V\*” as v \+ \*"),
        ({"short_side": 12}, "no room for the model's crops of 16×16"),
    ):
        with pytest.raises(ShiftlabError, match=said):
            learned(prompted, shot, **wrong)
    with pytest.raises(ShiftlabError, match="no longer a number"):
        learned(prompted, torch.full_like(shot, float("nan")))
    with pytest.raises(ShiftlabError, match="40×12 pixels, smaller than the model's crops of 16×16"):
        learned(prompted, shot[:, :12])
    with pytest.raises(ValueError, match=r"must hold \{token\}"):
        DatumTune(instance_prompt="a photo of a street")
    other = learned(prompted, shot)[1]
    other = dataclasses.replace(other, card=other.card.model_copy(update={"base_fingerprint": "0123456789abcdef"}))
    with pytest.raises(ShiftlabError, match="was personalised on the text-to-image model 0123456789abcdef"):
        personalised(text_to_image, other)
    for weights, said in (
        ({"unet.nowhere.lora_A.weight": torch.zeros(1, 1)}, "do not fit"),
        ({"conv_in.weight": torch.zeros(1)}, "no weights of"),
    ):
        with pytest.raises(ShiftlabError, match=said):
            personalised(text_to_image, dataclasses.replace(other, weights=weights), override=True)


@pytest.mark.long
def test_a_word_with_a_meaning_is_warned_of(prompted, shot):
    events, _ = learned(prompted, shot, token="house", steps=1)
    assert "common word" in events[0].note


@pytest.mark.long
def test_domainstudio_keeps_to_the_frozen_source(prompted, text_to_image, shot):
    settings = PromptDomainStudioTune(**{**LESSON, "rank": 0, "batch_size": 3})
    *events, edit = tune_domainstudio([shot, shot.flip(2)], settings, "houses", 7, prompted)
    first, *_, last = updates(events)
    assert set(last.numbers) == {"loss", "denoising", "prior", "similarity", "similarity of details", "details"}
    assert first.numbers["prior"] < 1e-8 < last.numbers["prior"]  # the student begins as the source
    assert edit.card.method == "domainstudio_text" and edit.card.target_prompt == "a ohwx house"
    student = PromptStudent(text_to_image, settings)
    batch = Batches(text_to_image, [shot], torch.randn(3, 4, LATENT_SIZE, LATENT_SIZE), 3, 0).at(0)
    only = settings.model_copy(update={"w_pair": 0.0, "w_hf_pair": 0.0, "w_hf": 0.0})
    assert set(PromptDomainStudioLosses(only, text_to_image)(student, batch)) == {"denoising", "prior"}
    same = PromptDomainStudioLosses(settings.model_copy(update={"class_prompt": settings.filled_prompt()}), text_to_image)(student, batch)
    assert float(same["similarity"].detach()) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ShiftlabError, match="no target images"):
        tune_domainstudio([], settings, "houses", 7, prompted)

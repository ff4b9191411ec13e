"""The recipe of the text-to-image model: its pictures and captions, the given code, steps, export, judges, on a few scenes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from core.models.clip_tokenizer import clip_tokenizer
from core.models.text_to_image import load_text_to_image
from core.pretrain import streets_examples, streets_sd, streets_text, streets_vae
from core.pretrain.dataset import to_bytes
from core.pretrain.streets_data import Pictures, crop_batch, drawn_streets
from core.pretrain.streets_export import export
from core.pretrain.streets_judge import WeatherRule, enough, train_pixel_judge, true_crops
from core.pretrain.streets_quality import samples
from core.worlds import portraits, streets
from tests.tiny_text_to_image import LATENT_SIZE, tiny_conditional_unet, tiny_text_encoder, tiny_vae

pytestmark = pytest.mark.long

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def street_sets():
    scenes = streets.sample(9, seed=0)
    parts = {"day": scenes[:3], "rain": scenes[3:6], "snow": scenes[6:]}
    return [Pictures(name, to_bytes(streets.render(part, name)).numpy(), streets.labels(part).numpy()) for name, part in parts.items()]


@pytest.fixture(scope="module")
def portrait_sets():
    people = portraits.sample(3, seed=0)
    return [Pictures(style, to_bytes(portraits.render(people, style)).numpy(), people=people) for style in ("photo", "sketch")]


@pytest.fixture(scope="module")
def training(street_sets):
    torch.manual_seed(0)
    return streets_vae.VaeTraining(streets_vae.build_vae(), street_sets, [1, 1, 1], 4, 2e-3, CPU)


def test_streets_are_drawn_once(tmp_path):
    scenes = streets.sample(2, seed=3)
    first = drawn_streets(scenes, "snow", tmp_path)
    assert first.shape == (2, 3, 64, 128) and drawn_streets(scenes, "labels", tmp_path).shape == (2, 64, 128)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    assert np.array_equal(drawn_streets(scenes, "snow", tmp_path), first)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")} == files


def test_crops_are_parts_of_the_pictures(street_sets):
    crops = crop_batch(street_sets[:1], [1.0], 3, 16)
    assert crops.shape == (3, 3, 16, 16)
    every = torch.tensor(street_sets[0].images).float().unfold(2, 16, 1).unfold(3, 16, 1) / 127.5 - 1
    assert all((every.permute(0, 2, 3, 1, 4, 5) == crop).all(dim=(3, 4, 5)).any() for crop in crops[:1])


def test_a_caption_names_only_what_is_there():
    rng, rare = np.random.default_rng(0), {name: 1.0 for name in streets_text.SEEN}
    lines = [streets_text.street_caption(["car", "traffic light"], "snow", rare, rng) for _ in range(300)]
    assert not any(word in line for line in lines for word in ("bus", "person", "rider", "traffic sign", "rain", "night", "fog"))
    assert any(line.endswith("a photo of a car in snow") for line in lines)
    assert any("with a car and a traffic light" in line for line in lines)
    assert 0.8 < np.mean(["snow" in line for line in lines]) < 0.98
    nothing = {streets_text.street_caption([], "day", rare, rng) for _ in range(50)}
    assert all(any(place in line for place in streets_text.PLACES) for line in nothing)


def test_a_thing_is_seen_from_enough_pixels_on():
    labels = np.zeros((64, 64), np.uint8)
    labels.ravel()[: streets_text.SEEN["car"]] = streets.CLASSES["car"]
    labels.ravel()[-streets_text.SEEN["person"] + 1 :] = streets.CLASSES["person"]
    assert streets_text.things_in(labels) == ["car"]
    assert enough(torch.tensor(labels)[None])[0].tolist() == [name == "car" for name in streets_text.SEEN]


def test_the_given_code_is_the_principal_components(training, street_sets):
    x = crop_batch(street_sets, [1, 1, 1], 64, 64)
    code = training.code(x)
    assert code.shape == (64, streets_vae.LATENT_CHANNELS, 16, 16)
    flat = code.transpose(0, 1).flatten(1)
    correlation = torch.corrcoef(flat) - torch.eye(len(flat))
    assert correlation.abs().max() < 0.35  # of few pictures, and not those it was fitted on
    assert (flat.std(1)[0] > flat.std(1)[-1]) and flat.std(1)[0] > 1


def test_the_autoencoder_learns_before_and_after_it_reads_its_own_code(training):
    for progress in (0.1, 0.6, 0.9):
        losses = []
        for k in range(6):
            torch.manual_seed(0)
            losses.append(float(training.step(200 + k, progress)["l1"]))
        assert losses[-1] < losses[0]


@pytest.fixture(scope="module")
def data(training, street_sets, portrait_sets, tmp_path_factory):
    cache = tmp_path_factory.mktemp("latents")
    made = streets_examples.examples(street_sets, portrait_sets, training.ema.module, clip_tokenizer(32), cache, seed=0)
    again = streets_examples.examples(street_sets, portrait_sets, training.ema.module, clip_tokenizer(32), cache, seed=0)
    assert torch.equal(made.latents, again.latents) and torch.equal(made.tokens, again.tokens)
    return made


def test_examples_are_crops_with_captions_in_their_shares(data):
    crops = 9 * streets_examples.CROPS
    assert data.latents.shape == (crops + 6, streets_vae.LATENT_CHANNELS, 16, 16) and data.latents.dtype == torch.float16
    assert data.tokens.shape == (crops + 6, streets_examples.WORDINGS, 32)
    assert data.weights[:crops].sum().item() == pytest.approx(streets_examples.STREETS_SHARE)
    text = clip_tokenizer(32).batch_decode(data.tokens[:, 0], skip_special_tokens=True)
    assert all("snow" not in line for line in text[: 3 * streets_examples.CROPS]) and "sketch" in text[-1] + text[-2]
    latents, tokens = data.draw(5)
    assert latents.shape[0] == tokens.shape[0] == 5 and tokens.dtype == torch.long


def test_a_step_moves_unet_and_text_encoder_and_their_averages(data):
    torch.manual_seed(0)
    training = streets_sd.DiffusionTraining(streets_sd.build_unet(), streets_text.build_text_encoder(), data, 1.0, 4, 1e-3, CPU)
    before = {name: value.clone() for name, value in training.text_ema.module.state_dict().items()}
    numbers = [training.step(k, 0.1) for k in range(3)]
    assert all(np.isfinite(float(value)) for row in numbers for value in row.values())
    moved = [name for name, value in training.text_ema.module.state_dict().items() if not torch.equal(value, before[name])]
    assert any("token_embedding" in name for name in moved) and any("layers.1" in name for name in moved)


def test_the_export_is_a_pipeline_that_diffusers_and_the_lab_read(tmp_path):
    torch.manual_seed(0)
    vae, text, unet = tiny_vae(), tiny_text_encoder(), tiny_conditional_unet()
    export(vae, 1.25, text, unet, tmp_path / "streets")
    model = load_text_to_image(tmp_path / "streets", dtype=torch.float32)
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "streets")
    pipeline.set_progress_bar_config(disable=True)
    assert model.vae.config.scaling_factor == 1.25 and pipeline.safety_checker is None
    for mine, theirs, own in ((model.unet, pipeline.unet, unet), (model.text_encoder, pipeline.text_encoder, text)):
        for name, value in own.state_dict().items():
            assert all(torch.equal(read.state_dict()[name], value.half().float()) for read in (mine, theirs))
    assert "text_model.embeddings.token_embedding.weight" in _names(tmp_path / "streets" / "text_encoder" / "model.safetensors")
    again = pipeline("a car", num_inference_steps=2, latents=torch.zeros(1, 4, LATENT_SIZE, LATENT_SIZE), output_type="np").images
    assert np.isfinite(again).all()
    assert samples(model, ["a car", "a bus"], steps=2).shape == (2, 3, model.image_size, model.image_size)


def test_the_judges_learn_from_true_crops(street_sets):
    crops = true_crops(street_sets, 8, seed=0)
    rule = WeatherRule(crops)
    assert (rule(crops.images) == crops.weather).float().mean() > 0.9
    judge = train_pixel_judge(crops, steps=60, batch=8)
    with torch.no_grad():
        said = torch.tensor(list(streets.CLASSES.values()))[judge(crops.images).argmax(1)]
    assert (said == crops.labels).float().mean() > 0.5  # the commonest class has a third of the pixels
    assert judge.things(crops.images).shape == (len(crops.images), len(streets_text.SEEN))


def _names(path):
    with path.open("rb") as file:
        return json.loads(file.read(int.from_bytes(file.read(8), "little")))

"""A pipeline folder as the lab reads it: the same images as diffusers' own pipeline, and a sentence for every fault."""

import copy
import json
import shutil

import numpy as np
import open_clip
import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

from core.lab import Lab
from core.models.clip_tokenizer import clip_tokenizer
from core.models.download import download
from core.models.files import inspect
from core.models.shelf import TEXT_TO_IMAGE, Shelf
from core.models.text_to_image import load_text_to_image
from core.models.zoo import entry_of, installed
from core.process.noise import ItemNoise
from core.process.sampling import generate, last
from core.process.timesteps import leading_timesteps
from core.types import ShiftlabError
from tests.tiny import drained, write_models
from tests.tiny_text_to_image import IMAGE_SIZE, LATENT_SIZE, LENGTH, WIDTH, write_text_to_image

PROMPTS = ["a photo of a car", "snow"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_text_to_image(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def model(folder):
    return load_text_to_image(folder, dtype=torch.float32)


@pytest.fixture
def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def test_shapes_and_facts(model):
    embeddings = model.embed(PROMPTS)
    assert embeddings.shape == (2, LENGTH, WIDTH) and model.image_size == IMAGE_SIZE
    latents = model.to_latents(torch.rand(2, 3, IMAGE_SIZE, IMAGE_SIZE) * 2 - 1)
    assert latents.shape == (2, *model.latent_shape) == (2, 4, LATENT_SIZE, LATENT_SIZE)
    assert model.to_images(latents).shape == (2, 3, IMAGE_SIZE, IMAGE_SIZE)
    assert model.eps(latents, torch.tensor([3, 900]), embeddings).shape == latents.shape
    assert model.schedule.beta_schedule == "scaled_linear" and len(model.fingerprint) == 16


@pytest.mark.long
@torch.no_grad()
def test_the_same_images_as_the_pipeline_makes(model, folder):
    z = ItemNoise([1, 2]).normal(model.latent_shape)
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(PROMPTS, num_inference_steps=10, guidance_scale=3.0, latents=z, output_type="np").images
    eps_model = model.guided(model.embed(PROMPTS), model.embed([""]), 3.0)
    ours = model.to_images(last(generate(eps_model, z, leading_timesteps(10), model.schedule)))
    np.testing.assert_allclose(((ours.clamp(-1, 1) + 1) / 2).permute(0, 2, 3, 1).numpy(), theirs, atol=2e-4)
    assert theirs.std() > 0.01


@pytest.mark.long
def test_the_tokenizer_is_open_clips():
    prompts = ["a photo of a sks urban scene", "Traffic light, crossing  at night!", "café"]
    ours = clip_tokenizer(77)(prompts, padding="max_length", return_tensors="np").input_ids
    theirs = open_clip.tokenize(prompts).numpy()
    for mine, other in zip(ours, theirs, strict=True):
        end = other.argmax()
        assert mine[: end + 1].tolist() == other[: end + 1].tolist()


def test_a_draw_of_latents_belongs_to_its_item(model):
    images = torch.rand(2, 3, IMAGE_SIZE, IMAGE_SIZE) * 2 - 1
    both = model.to_latents(images, ItemNoise([5, 6]))
    assert torch.allclose(both[1:], model.to_latents(images[1:], ItemNoise([6])), atol=1e-5)
    assert (both - model.to_latents(images)).abs().max() > 0


def test_guidance_of_one_is_the_prompt_alone(model):
    z, t, embeddings = torch.randn(1, *model.latent_shape), torch.tensor([500]), model.embed(["a car"])
    plain = model.eps(z, t, embeddings)
    assert torch.equal(model.guided(embeddings, model.embed([""]), 1.0)(z, t), plain)
    assert not torch.allclose(model.guided(embeddings, model.embed([""]), 4.0)(z, t), plain)


def test_other_parts_take_gradients_and_leave_the_model_alone(model):
    unet = copy.deepcopy(model.unet).requires_grad_(True)
    tuned = model.with_parts(unet=unet)
    tuned.eps(torch.randn(1, *model.latent_shape), torch.tensor([500]), model.embed(["a car"])).square().mean().backward()
    assert any(p.grad is not None for p in unet.parameters()) and not any(p.requires_grad for p in model.unet.parameters())


def test_half_precision_variants_are_read_as_float32(copied, model):
    for part, name in (("vae", "diffusion_pytorch_model"), ("text_encoder", "model"), ("unet", "diffusion_pytorch_model")):
        (copied / part / f"{name}.safetensors").rename(copied / part / f"{name}.fp16.safetensors")
    read = load_text_to_image(copied, dtype=torch.float32)
    assert read.fingerprint == model.fingerprint and next(read.unet.parameters()).dtype == torch.float32


def _another_text_encoder(folder):
    config = CLIPTextConfig(vocab_size=100, hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=1, num_attention_heads=2)
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")


@pytest.mark.long
def test_prompts_are_cut_to_what_the_text_encoder_reads(copied, model):
    (copied / "tokenizer" / "tokenizer_config.json").unlink()
    assert torch.equal(load_text_to_image(copied, dtype=torch.float32).embed(["a car " * 40]), model.embed(["a car " * 40]))


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: shutil.rmtree(folder), "no folder at"),
        (lambda folder: shutil.rmtree(folder / "tokenizer"), "lacks tokenizer"),
        (lambda folder: shutil.rmtree(folder / "vae"), "lacks vae"),
        (lambda folder: (folder / "unet" / "diffusion_pytorch_model.safetensors").rename(folder / "unet" / "weights.bin"), "can hold code"),
        (lambda folder: (folder / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"nothing"), "vae of .* cannot be read"),
        (lambda folder: (folder / "unet" / "config.json").write_text("{"), "not readable JSON"),
        (lambda folder: (folder / "unet" / "config.json").write_text('{"_class_name": "UNet2DModel"}'), "is a UNet2DModel"),
        (lambda folder: _set(folder / "scheduler" / "scheduler_config.json", beta_schedule="squaredcos_cap_v2"), "squaredcos_cap_v2"),
        (lambda folder: _set(folder / "unet" / "config.json", cross_attention_dim=24), "cannot be read|do not fit"),
        (lambda folder: _set(folder / "unet" / "config.json", sample_size=None), "does not say its size"),
        (lambda folder: _set(folder / "unet" / "config.json", sample_size=[8, 12]), "does not say its size"),
        (_another_text_encoder, "knows 49,408 tokens, and its text encoder 100"),
    ],
)
def test_a_fault_is_a_sentence(copied, change, words):
    change(copied)
    with pytest.raises(ShiftlabError, match=words):
        load_text_to_image(copied)


def _set(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.long
def test_weights_in_the_names_of_older_transformers_are_the_same(copied, model):
    path = copied / "text_encoder" / "model.safetensors"
    weights = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in load_file(path).items()}
    save_file(weights, path, {"format": "pt"})
    assert load_text_to_image(copied, dtype=torch.float32).fingerprint == model.fingerprint


@pytest.mark.long
def test_the_shelf_opens_tells_and_takes_it(folder, model, tmp_path):
    shutil.copytree(folder, tmp_path / "checkpoints" / "streets")
    shelf = Shelf(tmp_path / "home", tmp_path / "checkpoints", torch.device("cpu"), torch.float32)
    unloaded = shelf.told_unloaded(TEXT_TO_IMAGE)
    assert unloaded.model == "streets" and unloaded.embedded and unloaded.disk > 0 and not unloaded.memory
    assert shelf.load(TEXT_TO_IMAGE).fingerprint == model.fingerprint == shelf.told(TEXT_TO_IMAGE, shelf.load(TEXT_TO_IMAGE)).fingerprint
    facts = inspect(folder)
    assert facts.kind == "text_to_image" and facts.details["images"] == f"{IMAGE_SIZE} px" and facts.fingerprint == model.fingerprint
    name = shelf.add(facts, "mine")
    assert shelf.use(TEXT_TO_IMAGE, name).fingerprint == model.fingerprint
    again = Shelf(tmp_path / "home", tmp_path / "checkpoints", torch.device("cpu"), torch.float32)
    assert not again.told_unloaded(TEXT_TO_IMAGE).embedded and again.told_unloaded(TEXT_TO_IMAGE).model == "mine"
    shutil.rmtree(tmp_path / "home" / "models" / "mine")
    assert "is gone" in again.told_unloaded(TEXT_TO_IMAGE).why and again.load(TEXT_TO_IMAGE) is not None
    assert "mine" in again.why(TEXT_TO_IMAGE)


@pytest.mark.long
def test_the_lab_loads_it_once_and_when_asked(folder, tmp_path):
    write_models(tmp_path / "checkpoints")
    shutil.copytree(folder, tmp_path / "checkpoints" / "streets")
    lab = Lab(tmp_path / "home", tmp_path / "checkpoints", "cpu", precision="fp32")
    try:
        assert lab.models()[-1].memory == 0
        given = lab.context().text_to_image()
        assert given is lab.text_to_image() and lab.models()[-1].parameters == sum(p.numel() for p in given.model.parameters())
        shutil.rmtree(tmp_path / "checkpoints" / "streets")
        lab._text_to_image = None
        with pytest.raises(ShiftlabError, match="no text-to-image model"):
            lab.context().text_to_image()
    finally:
        lab.close()


@pytest.mark.long
def test_a_pipeline_is_fetched_with_all_its_parts(folder, model, tmp_path):
    mirror = tmp_path / "mirror" / "someone" / "tiny"
    shutil.copytree(folder, mirror)
    (mirror / "safety_checker").mkdir()
    entry = entry_of("text-to-image:someone/tiny")
    events, fetched = drained(download(entry, tmp_path / "home", mirror=tmp_path / "mirror"))
    assert events and load_text_to_image(fetched, dtype=torch.float32).fingerprint == model.fingerprint
    assert not (fetched / "safety_checker").exists() and installed(tmp_path / "home")[0].kind == "text_to_image"
    (mirror / "vae" / "config.json").unlink()
    with pytest.raises(ShiftlabError, match=r"has no vae/config\.json"):
        drained(download(entry, tmp_path / "other", mirror=tmp_path / "mirror"))

"""What the text-to-image model of streets is worth: samples of prompts, and figures of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from core.models.text_to_image import TextToImage
from core.pretrain.dataset import to_bytes
from core.pretrain.streets_data import WEATHERS, Pictures, street_sets
from core.pretrain.streets_judge import Crops, PixelJudge, WeatherRule, enough, train_pixel_judge, true_crops
from core.pretrain.streets_text import SEEN
from core.pretrain.streets_vae import psnr
from core.process.noise import ItemNoise
from core.process.sampling import generate, last
from core.process.timesteps import leading_timesteps
from core.worlds import portraits, streets

GUIDANCE, STEPS = 3.0, 25
CHUNK = 16
UNSEEN_SEED = 900_011  # of scenes that no recipe trains on
SHEET_PROMPTS = tuple(
    prompt
    for prompt, count in {
        "a photo of a street on a clear day": 4,
        "a photo of an urban scene": 4,
        "a photo of a street in the rain": 4,
        "a photo of a street in snow": 4,
        "a photo of a car": 4,
        "a photo of a bus": 4,
        "a photo of a traffic light": 4,
        "a photo of a traffic sign": 4,
        "a photo of a person": 4,
        "a photo of a rider": 4,
        "a photo of a smiling person": 2,
        "a pencil sketch of a person": 2,
        "an oil painting of a person": 2,
        "a cartoon of a person": 2,
    }.items()
    for _ in range(count)
)


@torch.no_grad()
def samples(model: TextToImage, prompts: Sequence[str], steps: int = STEPS, guidance: float = GUIDANCE, first_seed: int = 0) -> Tensor:
    """One image a prompt, `(len(prompts), 3, H, W)` in [-1, 1]; item i begins with the noise of seed first_seed + i."""
    empty, parts = model.embed([""]), []
    for start in range(0, len(prompts), CHUNK):
        chunk = prompts[start : start + CHUNK]
        z = ItemNoise(range(first_seed + start, first_seed + start + len(chunk)), model.device).normal(model.latent_shape)
        eps_model = model.guided(model.embed(chunk), empty, guidance)
        parts.append(model.to_images(last(generate(eps_model, z, leading_timesteps(steps), model.schedule))).clamp(-1, 1))
    return torch.cat(parts)


def measure(model: TextToImage, cache: Path, count: int, steps: int = 300) -> dict[str, float]:
    """The card's figures. count: samples of each prompt, and unseen scenes of each weather; steps: of the pixel judge's training.

    PSNR of the autoencoder on unseen pictures; the share of samples whose weather is recognised, and in which the named thing is found,
    beside the share of streets of no named thing in which it is found, and beside how well the judge does on unseen true crops.
    """
    unseen = [_unseen(weather, place, count) for place, weather in enumerate(WEATHERS)]
    figures = autoencoder_figures(model, unseen, count)
    known = true_crops(street_sets(cache), 32 * count, seed=0)
    figures |= weather_figures(model, WeatherRule(known), true_crops(unseen, 4 * count, seed=1), count)
    if steps:  # else nobody looks for things
        figures |= thing_figures(model, train_pixel_judge(known, steps), true_crops(unseen, 4 * count, seed=1), count)
    return {name: round(value, 3) for name, value in figures.items()} | {"samples a prompt": count, "guidance": GUIDANCE, "steps": STEPS}


def _unseen(weather: str, place: int, count: int) -> Pictures:
    scenes = streets.sample(count, UNSEEN_SEED + place)
    return Pictures(weather, to_bytes(streets.render(scenes, weather)).numpy(), streets.labels(scenes).numpy())


@torch.no_grad()
def autoencoder_figures(model: TextToImage, unseen: Sequence[Pictures], count: int) -> dict[str, float]:
    """PSNR in dB of whole 64 px crops, by weather, and of portraits in photos."""
    pictures = {part.name: true_crops([part], count, seed=2).images for part in unseen}
    pictures["portraits"] = portraits.render(portraits.sample(count, UNSEEN_SEED), "photo")

    def through(x: Tensor) -> Tensor:
        return torch.cat([model.to_images(model.to_latents(part)).clamp(-1, 1).cpu() for part in x.split(CHUNK)])

    return {f"autoencoder PSNR dB, {name}": psnr(through(x), x) for name, x in pictures.items()}


def weather_figures(model: TextToImage, rule: WeatherRule, true: Crops, count: int) -> dict[str, float]:
    """For each weather the share of its samples, and of unseen true crops, that the rule takes for it."""
    figures = {}
    for place, weather in enumerate(WEATHERS):
        drawn = samples(model, [streets.DOMAIN_PROMPTS[weather]] * count).cpu()
        figures[f"samples of {weather} recognised"] = (rule(drawn) == place).float().mean().item()
        figures[f"true crops of {weather} recognised"] = (rule(true.images[true.weather == place]) == place).float().mean().item()
    return figures


def thing_figures(model: TextToImage, judge: PixelJudge, true: Crops, count: int) -> dict[str, float]:
    """For each thing the share of samples of "a photo of a …" in which the judge finds it, and of samples of "a photo of a street";

    and the judge's own worth: the share found of true crops with it, and of those without.
    """
    plain = judge.things(samples(model, ["a photo of a street"] * count).cpu()).float().mean(0)
    found, present = judge.things(true.images), enough(true.labels)
    figures = {}
    for place, name in enumerate(SEEN):
        drawn = judge.things(samples(model, [f"a photo of a {name}"] * count).cpu())[:, place].float().mean()
        here, absent = found[present[:, place], place], found[~present[:, place], place]
        figures[f"{name} found where named"] = drawn.item()
        figures[f"{name} found in streets without a thing named"] = plain[place].item()
        figures[f"{name} found in true crops with it"] = here.float().mean().item()
        figures[f"{name} found in true crops without it"] = absent.float().mean().item()
    return figures

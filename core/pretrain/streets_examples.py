"""Crops with their captions, made once before the text-to-image model learns: latents by the trained autoencoder, captions as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPTokenizer

from core.models.fingerprint import weights_hash
from core.pretrain.streets_data import HEIGHT, Pictures
from core.pretrain.streets_text import rarity, street_caption, things_in
from core.pretrain.streets_vae import encoded
from core.worlds import portraits

CROPS = 2  # of each scene
WORDINGS = 6  # captions of each crop
TOWARDS = 0.6  # how often a crop is moved to where the scene's rarest thing is
STREETS_SHARE = 0.75  # of a batch


@dataclass(frozen=True)
class Examples:
    """latents float16 `(n, 8, 16, 16)`, unscaled; tokens int32 `(n, WORDINGS, L)`; weights `(n,)`, how often each is drawn, of sum 1."""

    latents: Tensor
    tokens: Tensor
    weights: Tensor

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """(latents `(count, 8, 16, 16)` float32, tokens `(count, L)` long), by torch's global generator."""
        items = torch.multinomial(self.weights, count, replacement=True)
        wording = torch.randint(self.tokens.shape[1], (count,))
        return self.latents[items].float(), self.tokens[items, wording].long()


def examples(
    streets: Sequence[Pictures], people: Sequence[Pictures], vae: AutoencoderKL, tokenizer: CLIPTokenizer, cache: Path, seed: int
) -> Examples:
    """All of them, the streets' weights summing to STREETS_SHARE. Latents are kept in the cache folder, by the autoencoder's weights."""
    rng = np.random.default_rng([seed, 29])
    crops, found, weathers = _street_crops(streets, rng)
    rare = rarity(found)
    lines = [[street_caption(things, weather, rare, rng) for _ in range(WORDINGS)] for things, weather in zip(found, weathers, strict=True)]
    weights = torch.tensor([max([1.0, *(rare[name] ** 0.5 for name in things)]) for things in found], dtype=torch.float64)
    images = [crops, *(np.asarray(pictures.images) for pictures in people)]
    lines += [line for pictures in people for line in _portrait_lines(pictures, rng)]
    portraits_count = len(lines) - len(crops)
    weights = torch.cat(
        [weights / weights.sum() * STREETS_SHARE, torch.full((portraits_count,), (1 - STREETS_SHARE) / portraits_count).double()]
    )
    return Examples(_latents(vae, images, cache), _tokens(tokenizer, lines), weights)


def _street_crops(sets: Sequence[Pictures], rng: np.random.Generator) -> tuple[np.ndarray, list[list[str]], list[str]]:
    """(crops uint8 `(n, 3, 64, 64)`, the things in each, its weather): CROPS of every scene, rather where something rare stands."""
    common_first = rarity([things_in(labels) for pictures in sets for labels in pictures.labels])
    crops, found, weathers = [], [], []
    for pictures in sets:
        for image, labels in zip(pictures.images, pictures.labels, strict=True):
            for _ in range(CROPS):
                left = _left(labels, common_first, rng)
                crops.append(image[:, :, left : left + HEIGHT])
                found.append(things_in(labels[:, left : left + HEIGHT]))
                weathers.append(pictures.name)
    return np.stack(crops), found, weathers


def _left(labels: np.ndarray, rare: dict[str, float], rng: np.random.Generator) -> int:
    """Where a crop begins: anywhere, or, TOWARDS of the time, at one of three places that shows the rarest things."""
    places = [int(rng.integers(labels.shape[1] - HEIGHT + 1)) for _ in range(3)]
    if rng.random() >= TOWARDS:
        return places[0]
    return max(places, key=lambda left: max([0.0, *(rare[name] for name in things_in(labels[:, left : left + HEIGHT]))]))


def _portrait_lines(pictures: Pictures, rng: np.random.Generator) -> list[list[str]]:
    seeds = rng.integers(2**31, size=WORDINGS)
    wordings = [portraits.captions(pictures.people, pictures.name, int(seed)) for seed in seeds]
    return [list(lines) for lines in zip(*wordings, strict=True)]


def _tokens(tokenizer: CLIPTokenizer, lines: Sequence[Sequence[str]]) -> Tensor:
    flat = [line for wordings in lines for line in wordings]
    ids = tokenizer(flat, padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt").input_ids
    return ids.to(torch.int32).reshape(len(lines), WORDINGS, -1)


def _latents(vae: AutoencoderKL, images: Sequence[np.ndarray], cache: Path) -> Tensor:
    """Encoded once for these weights and these counts of pictures."""
    name = f"{weights_hash(vae.state_dict())}-{'-'.join(str(len(part)) for part in images)}.safetensors"
    path = cache / "latents" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        device = next(vae.parameters()).device
        save_file({"latents": torch.cat([encoded(vae, part, device) for part in images]).contiguous()}, path)
    return load_file(path)["latents"]

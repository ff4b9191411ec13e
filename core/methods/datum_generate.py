"""DATUM's second stage (Benigmim et al., CVPRW 2023, section 3.2): pictures from prompts over a list of classes, cycled uniformly.

The pictures are unlabelled data of the target: their prompts make the rare classes frequent, and no label is made of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

import torch
from torch import Tensor

from core.methods.datum_settings import CLASS, TOKEN, GenerateSettings
from core.methods.walks import asked, locked
from core.models.text_to_image import TextToImage
from core.process.noise import ItemNoise
from core.process.sampling import generate, last
from core.process.timesteps import leading_timesteps
from core.types import Context, ShiftlabError

MOST_PICTURES = 100_000  # of a run
PAPER_CLASSES = (
    "traffic light", "traffic sign", "person", "rider", "car", "truck", "train", "bus", "motorcycle", "bicycle",
)  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """One picture to be made. place: in the set, from 0."""

    place: int
    name: str  # of its class
    prompt: str
    seed: int


def plan(table: Sequence[tuple[str, int]], settings: GenerateSettings, token: str, seed: int) -> list[Picture]:
    """The pictures of a table of (class, count): one of each class in turn, as long as there are any left of it; picture i has seed + i.

    An empty token leaves its place out, as for a model that was not personalised. Raises ShiftlabError for a table without pictures, or
    with more than MOST_PICTURES.
    """
    named = [(name.strip(), max(0, count)) for name, count in table if name.strip()]
    if not any(count for _, count in named):
        raise ShiftlabError("There is no class to generate. Name one or more, each with the number of its pictures.")
    if (total := sum(count for _, count in named)) > MOST_PICTURES:
        raise ShiftlabError(f"The table asks for {total:,} pictures; {MOST_PICTURES:,} are the most that a run makes. Lower the numbers.")
    turns = zip_longest(*([name] * count for name, count in named))
    names = [name for name in chain.from_iterable(turns) if name is not None]
    return [Picture(place, name, filled(settings.template, token, name), seed + place) for place, name in enumerate(names)]


def filled(template: str, token: str, name: str = "") -> str:
    """The template with token and class in their places and no space too many."""
    return " ".join(template.replace(TOKEN, token).replace(CLASS, name).split())


def drawn(model: TextToImage, prompts: Sequence[str], seeds: Sequence[int], steps: int, guidance: float, context: Context) -> Tensor:
    """Pictures `(B, 3, H, W)` in [-1, 1] of the prompts, from noise alone, item i by seeds[i]. Raises Stopped when asked to stop."""
    z = drawn_latents(model, prompts, seeds, steps, guidance, context)
    with context.lock, torch.no_grad():
        return model.to_images(z).clamp(-1.0, 1.0)


def drawn_latents(
    model: TextToImage, prompts: Sequence[str], seeds: Sequence[int], steps: int, guidance: float, context: Context
) -> Tensor:
    """The same before they are decoded: `(B, C, h, w)`."""
    start = ItemNoise(seeds, model.device).normal(model.latent_shape)
    timesteps = leading_timesteps(steps, model.schedule.num_steps)
    return last(asked(denoised(model, start, prompts, timesteps, guidance, context.lock), context))


@torch.no_grad()
def denoised(
    model: TextToImage, z: Tensor, prompts: Sequence[str], timesteps: Sequence[int], guidance: float, lock: AbstractContextManager[Any]
) -> Iterator[tuple[int, Tensor]]:
    """DDIM with guidance from latents z `(B, C, h, w)` at timesteps[-1]; yields (k, latents after step k), the lock taken for each."""
    with lock:
        embeddings, empty = model.embed(prompts), model.embed([""])
    yield from locked(generate(model.guided(embeddings, empty, guidance), z, timesteps, model.schedule), lock)

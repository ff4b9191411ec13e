"""Pictures that edits have made so far, graded by the truth: what the next CLIP learns from, so that it is not fooled the same way twice.

    python -m core.pretrain.attempts      # every shipped edit on training portraits, at several strengths; adds to cache/attempts
    python -m core.pretrain.clip          # then learns from them too
    python -m core.pretrain.attempts --attribute beard      # of the edit that gives a beard; for core.pretrain.clip_axis

An edit climbs CLIP's cosine through the network, and ends in pictures that no renderer makes: white paper with rosy clouds that this CLIP
calls a perfect sketch. Only in a drawn world is it known how far such a picture really is from its target, because the same portrait can
be drawn there. So the attempts go back into the training with their true grade, and the cosine must not exceed it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.data.edits import load_edit
from core.pretrain.augment import gaussian_blur
from core.pretrain.common import run_command
from core.pretrain.dataset import batch_of, rendered, to_bytes
from core.pretrain.edits import ALL, CHUNK, context_of, edited
from core.pretrain.pairs import PORTRAITS, PORTRAITS_SEED, paired_set
from core.types import Context, Edit
from core.worlds import portraits as world

Grade = Callable[[Tensor, Tensor, Tensor], Tensor]  # edited, source, target → `(B,)` in [0, 1]
SIGMAS = (1.0, 4.0)  # pixels: a contour that is a pixel off still counts; then the colours of whole places
TEXTURE = (1.0, 2.0)  # pixels: what is finer than the first is texture; how much of it there is, is taken over the second
STRENGTHS = (1.0, 0.85, 1.0, 0.6)  # of one chunk of portraits after the other: the way there belongs to it
STEPS = (6, 20, 12)


def grade(edited: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """How much of the way from source to target has been gone, `(B,)` in [0, 1]; all images `(B, 3, H, W)` in [-1, 1].

    One minus the distance left over the distance at first, each in [0, 1], in the mean over images blurred a little, blurred a lot, and
    their texture: hatching, brush strokes and outlines, wherever their lines may run.
    """
    views = [lambda x, s=s: gaussian_blur(x, s) for s in SIGMAS] + [texture]
    gone = [1 - _distance(view(edited), view(target)) / _distance(view(source), view(target)) for view in views]
    return torch.stack([share.clamp(0, 1) for share in gone]).mean(0)


def attribute_grade(edited: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """How much of the change from source to target an edit made, `(B,)` in [0, 1]; all images `(B, 3, H, W)` in [-1, 1].

    The share of the true change of lightness, blurred a little, that lies in the edit's. What it changed besides counts for nothing.
    """
    made, true = (gaussian_blur(x - source, SIGMAS[0]).mean(dim=1).flatten(1) for x in (edited, target))
    return ((made * true).sum(dim=1) / true.square().sum(dim=1).clamp_min(1e-6)).clamp(0, 1)


def texture(x: Tensor) -> Tensor:
    """How strong the fine lines are around each pixel, `(B, 3, H, W)`."""
    fine, around = TEXTURE
    return gaussian_blur((x - gaussian_blur(x, fine)).abs(), around)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).flatten(1).norm(dim=1).clamp_min(1e-6)


@dataclass(frozen=True)
class Attempts:
    """N edited pictures: images uint8 `(N, 3, 64, 64)`; portrait `(N,)` of the paired set; domain `(N,)` aimed at; grades `(N,)`."""

    images: np.ndarray
    portrait: Tensor
    domain: Tensor
    grades: Tensor

    def __len__(self) -> int:
        return len(self.portrait)

    @staticmethod
    def read(folder: Path) -> Attempts | None:
        """All files of a folder together; None where there is none."""
        files = [np.load(path) for path in sorted(folder.glob("*.npz"))]
        if not files:
            return None
        joined = {name: np.concatenate([file[name] for file in files]) for name in ("images", "portrait", "domain", "grades")}
        return Attempts(joined["images"], *(torch.from_numpy(joined[name]) for name in ("portrait", "domain", "grades")))


def attempts_of(edit: Edit, pictures: tuple[np.ndarray, np.ndarray], graded: Grade, count: int, domain: str, context: Context) -> Attempts:
    """One edit on the first `count` of the pictures, uint8 `(n, 3, 64, 64)`, which come without and with what it is to make of them."""
    images, grades = [], []
    for number, index in enumerate(torch.arange(count).split(CHUNK)):
        photos, truth = (batch_of(part, index) for part in pictures)
        made, _ = edited(edit, photos, STEPS[number % len(STEPS)], context, STRENGTHS[number % len(STRENGTHS)])
        images.append(to_bytes(made.cpu()).numpy())
        grades.append(graded(made.cpu(), photos, truth))
    aim = torch.full((count,), world.DOMAINS.index(domain))
    return Attempts(np.concatenate(images), torch.arange(count), aim, torch.cat(grades))


def attempts_folder(cache: Path, attribute: str = "") -> Path:
    """Where the attempts of styles lie, or those at one attribute."""
    return cache / ("attempts" + (f"_{attribute}" if attribute else ""))


def without_and_with(attribute: str, domain: str, count: int, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """The same portraits without and with an attribute, uint8 `(count, 3, 64, 64)` each, drawn on first use."""
    people = world.sample(count, PORTRAITS_SEED)
    without, having = (rendered(world.with_attributes(people, **{attribute: value}), domain, cache) for value in (False, True))
    return without, having


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder of the embedded models")
    parser.add_argument("--edits", type=Path, default=Path("checkpoints/edits"), help="folder of the edits")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder of portraits, trajectories and attempts")
    parser.add_argument("--count", type=int, default=256, help="portraits an edit")
    parser.add_argument("--round", default="1", help="name of this round, in the files' names")
    parser.add_argument("--attribute", choices=world.ATTRIBUTES, help="of the edit that gives this attribute, not of the styles")
    options = parser.parse_args()
    context, folder = context_of(options.checkpoints, options.cache), attempts_folder(options.cache, options.attribute or "")
    folder.mkdir(parents=True, exist_ok=True)
    pairs = None if options.attribute else paired_set(PORTRAITS, PORTRAITS_SEED, options.cache)
    aim = {options.attribute: True} if options.attribute else {}
    for name, recipe in ALL.items():
        path = options.edits / f"{name}.safetensors"
        if recipe.targets != aim or not path.exists():
            continue
        edit = load_edit(path, context.base.state_dict())
        if pairs is None:
            pictures = without_and_with(options.attribute, recipe.domain, PORTRAITS, options.cache)
            made = attempts_of(edit, pictures, attribute_grade, options.count, recipe.domain, context)
        else:
            made = attempts_of(edit, (pairs.plain["photo"], pairs.plain[recipe.domain]), grade, options.count, recipe.domain, context)
        parts = {"images": made.images, "portrait": made.portrait, "domain": made.domain, "grades": made.grades}
        np.savez(folder / f"{options.round}-{name}.npz", **{key: np.asarray(value) for key, value in parts.items()})
        low, middle, high = made.grades.quantile(torch.tensor([0.1, 0.5, 0.9])).tolist()
        print(f"{name}: {len(made)} attempts; grades {low:.2f}, {middle:.2f}, {high:.2f} (10th, 50th, 90th percentile)", flush=True)


if __name__ == "__main__":
    run_command(main)

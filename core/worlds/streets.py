"""The world of streets: drawn street scenes seen from a car, in five weathers, with captions and exact segmentation.

See `street_layout` (where things stand), `street_mesh` and its users (what they are made of), `street_scene` (what the camera sees) and
`street_styles` (how each weather lights it).

>>> streets = sample(4, seed=0)
>>> days, nights, truth = render(streets, "day"), render(streets, "night"), labels(streets)  # (4, 3, 64, 128) twice, (4, 64, 128)
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.types import ShiftlabError
from core.worlds.street_captions import DOMAIN_PROMPTS, captions_of
from core.worlds.street_layout import Streets, sample
from core.worlds.street_scene import CLASSES, kinds, see
from core.worlds.street_styles import STYLES

__all__ = [
    "CLASSES",
    "DOMAINS",
    "DOMAIN_PROMPTS",
    "IGNORE",
    "PALETTE",
    "Streets",
    "captions",
    "counts",
    "labels",
    "render",
    "sample",
    "visible",
]

DOMAINS = tuple(STYLES)
IGNORE = 255  # the id of pixels without a class in masks; these scenes have none
PALETTE = {  # Cityscapes' colours by train id
    0: (128, 64, 128), 1: (244, 35, 232), 2: (70, 70, 70), 5: (153, 153, 153), 6: (250, 170, 30), 7: (220, 220, 0), 8: (107, 142, 35),
    10: (70, 130, 180), 11: (220, 20, 60), 12: (255, 0, 0), 13: (0, 0, 142), 15: (0, 60, 100),
}  # fmt: skip
SUPERSAMPLE = 2
CHUNK = 8  # scenes drawn at once: more do not fit a core's cache and are slower
COUNTED = ("car", "bus", "person", "rider", "traffic light", "traffic sign")
SEEN = 6  # pixels of 64 × 128 that make a thing worth a word


def render(streets: Streets, domain: str, height: int = 64) -> Tensor:
    """Pictures `(n, 3, height, 2 * height)`, float32 in [-1, 1]. An item's picture depends on that item alone.

    Raises ShiftlabError for a domain that is not in DOMAINS.
    """
    if domain not in STYLES:
        raise ShiftlabError(f"There is no domain '{domain}' in the streets world. Choose one of: {', '.join(DOMAINS)}.")
    chunks = [_render(streets[k : k + CHUNK], domain, height) for k in range(0, len(streets), CHUNK)]
    return torch.cat(chunks) if chunks else torch.zeros(0, 3, height, 2 * height)


def _render(streets: Streets, domain: str, height: int) -> Tensor:
    fine = STYLES[domain](see(streets, height * SUPERSAMPLE, 2 * height * SUPERSAMPLE)).clamp(0, 1)
    return F.avg_pool2d(fine, SUPERSAMPLE) * 2 - 1


def labels(streets: Streets, height: int = 64) -> Tensor:
    """What is at each pixel's centre: Cityscapes train ids `(n, height, 2 * height)` uint8, the same in every domain.

    A bicycle belongs to its rider, a trunk to its tree, as there is no class of their own.
    """
    chunks = [kinds(streets[k : k + CHUNK], height, 2 * height)[0] for k in range(0, len(streets), CHUNK)]
    return torch.tensor(np.concatenate(chunks)).to(torch.uint8) if chunks else torch.zeros(0, height, 2 * height, dtype=torch.uint8)


def visible(streets: Streets, height: int = 64) -> list[dict[str, float]]:
    """For each scene the classes that can be seen and their share of the pixels, largest first."""
    shares = []
    for mask in labels(streets, height):
        found = {name: float((mask == number).float().mean()) for name, number in CLASSES.items()}
        shares.append(dict(sorted(((k, v) for k, v in found.items() if v > 0), key=lambda item: -item[1])))
    return shares


def counts(streets: Streets) -> list[dict[str, int]]:
    """For each scene how many cars, people, … can be seen (COUNTED; at least SEEN of 64 × 128 pixels each)."""
    found = []
    for start in range(0, len(streets), CHUNK):
        for kind, thing in zip(*kinds(streets[start : start + CHUNK], 64, 128), strict=True):
            found.append({name: _things(thing[kind == CLASSES[name]]) for name in COUNTED})
    return found


def _things(numbers: np.ndarray) -> int:
    return int((np.unique(numbers, return_counts=True)[1] >= SEEN).sum())


def captions(streets: Streets, domain: str, seed: int) -> list[str]:
    """One caption a scene: the domain always, some of what can be seen, in varied words.

    Raises ShiftlabError for a domain that is not in DOMAINS.
    """
    if domain not in STYLES:
        raise ShiftlabError(f"There is no domain '{domain}' in the streets world. Choose one of: {', '.join(DOMAINS)}.")
    return captions_of(visible(streets), counts(streets), domain, seed)

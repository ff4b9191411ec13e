"""Pictures for the text-to-image model: streets in three weathers and portraits in four styles, drawn once, and square crops of them.

Night and fog are left out: they are what the model is to learn later, from one picture.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.pretrain.dataset import drawn_once, rendered, to_bytes
from core.worlds import (
    fields,
    portraits,
    street_cars,
    street_layout,
    street_light,
    street_mesh,
    street_people,
    street_raster,
    street_scene,
    street_styles,
    street_surfaces,
    street_town,
    streets,
)

DRAWING = (
    fields, street_cars, street_layout, street_light, street_mesh, street_people, street_raster, street_scene, street_styles,
    street_surfaces, street_town, streets,
)  # fmt: skip
HEIGHT = 64
STREETS_SEED, PORTRAITS_SEED = 1, 101  # the portraits are those of the judge's and CLIP's recipes, so that they are drawn once for all
WEATHERS = {"day": 2400, "rain": 1200, "snow": 1200}  # scenes; no two weathers share one
STYLES = ("photo", "sketch", "painting", "cartoon")
PEOPLE = 2_400


@dataclass(frozen=True)
class Pictures:
    """Pictures of one world in one domain. images: uint8 `(n, 3, H, W)`, H ≤ W; labels: uint8 `(n, H, W)`, for streets alone."""

    name: str
    images: np.ndarray
    labels: np.ndarray | None = None
    people: portraits.Portraits | None = None


def street_sets(cache: Path, scale: float = 1.0) -> list[Pictures]:
    """The streets in each weather, with their segmentation. scale: share of the scenes, for a trial."""
    counts = {weather: max(1, int(count * scale)) for weather, count in WEATHERS.items()}
    scenes, start, sets = streets.sample(sum(counts.values()), STREETS_SEED), 0, []
    for weather, count in counts.items():
        part = scenes[start : start + count]
        sets.append(Pictures(weather, drawn_streets(part, weather, cache), drawn_streets(part, "labels", cache)))
        start += count
    return sets


def portrait_sets(cache: Path, scale: float = 1.0) -> list[Pictures]:
    """The same people in each style."""
    people = portraits.sample(max(1, int(PEOPLE * scale)), PORTRAITS_SEED)
    return [Pictures(style, rendered(people, style, cache), people=people) for style in STYLES]


def drawn_streets(scenes: streets.Streets, what: str, cache: Path) -> np.ndarray:
    """The scenes in a domain, uint8 `(n, 3, 64, 128)`, or their "labels", `(n, 64, 128)`; kept in the cache folder as portraits are."""
    digest = hashlib.sha256("".join(inspect.getsource(module) for module in DRAWING).encode())
    digest.update(scenes.numbers.numpy().tobytes() + scenes.seeds.numpy().tobytes())
    path = Path(cache) / "streets" / f"{what}-{len(scenes)}-{digest.hexdigest()[:16]}.npy"

    def draw(part: Tensor) -> Tensor:
        return streets.labels(scenes[part]) if what == "labels" else to_bytes(streets.render(scenes[part], what, HEIGHT))

    size = (HEIGHT, 2 * HEIGHT)
    return drawn_once(path, (len(scenes), *size) if what == "labels" else (len(scenes), 3, *size), draw, streets.CHUNK)


def crop_batch(sets: Sequence[Pictures], shares: Sequence[float], count: int, side: int) -> Tensor:
    """Random square crops float32 `(count, 3, side, side)` in [-1, 1], channels last; each is of a set drawn with its share."""
    chosen = torch.multinomial(torch.tensor(shares, dtype=torch.float64), count, replacement=True).tolist()
    crops = []
    for place in chosen:
        images = sets[place].images
        item, top, left = (int(torch.randint(high, ())) for high in (len(images), images.shape[2] - side + 1, images.shape[3] - side + 1))
        crops.append(torch.from_numpy(images[item, :, top : top + side, left : left + side].copy()))
    return (torch.stack(crops).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)

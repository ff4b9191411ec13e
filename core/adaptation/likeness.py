"""Whether generated pictures repeat themselves: near-duplicates by name, and how much they vary compared with the model's own.

A model that has learned its one image by heart draws that image over and over. Its pictures are compared with those that the model drew
before it was personalised, for the same prompts without the token, from the same seeds. Distances are perceptual, or CLIP's where no
perceptual network is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.data.images import decode_image, to_tensor
from core.data.text_files import write_text
from core.metrics.diversity import Vectors, compared_size, mean_distance, near_duplicates, pairwise
from core.types import Context

LIKENESS = "likeness.json"
NEAR = 0.25  # of the mean distance of the model's own pictures: what is closer is nearly the same picture
MOST_PAIRS = 100  # that are named
MOST_PICTURES = 2000  # that are compared with one another, which takes the square of them


def measure_of(context: Context) -> tuple[str, Vectors] | None:
    """(name, pictures → vectors) of what distances are taken by, or None where nothing is loaded that could tell."""
    if context.perceptual is not None:
        return context.perceptual.name, context.perceptual.vectors
    if context.clip is not None:
        return f"CLIP ({context.clip.name})", context.clip.encode_image
    return None


def likeness(made: Path, names: Sequence[str], before: Path, compared: Sequence[str], context: Context) -> dict[str, Any]:
    """Measures and writes likeness.json into `made`: "measure", "variety", "mean_distance", "mean_distance_before", "near",
    "near_duplicates" [[name, name, distance], …] with the closest first, how many there are, "near_duplicate_pairs", and "pictures", among
    how many.

    names: of all pictures in `made`, of which the first MOST_PICTURES count; compared: of those that `before` has as well, which are among
    them. variety: the mean distance of the compared pictures in units of that before; 1 as varied as the model was, 0 all the same. Empty
    where nothing is loaded that could tell.
    """
    measure = measure_of(context)
    if measure is None:
        return {}
    names = names[:MOST_PICTURES]
    pictures, own_pictures = (_read(*part).to(context.device) for part in ((made, names), (before, compared)))
    with context.lock:
        distances = pairwise(measure[1], pictures)
        own = mean_distance(pairwise(measure[1], own_pictures))
    places = [list(names).index(name) for name in compared]
    mean = mean_distance(distances[places][:, places])
    near = near_duplicates(distances, NEAR * own)
    found = {
        "measure": measure[0],
        "variety": mean / own if own else 0.0,
        "mean_distance": mean,
        "mean_distance_before": own,
        "near": NEAR * own,
        "near_duplicate_pairs": len(near),
        "pictures": len(names),
        "near_duplicates": [[names[i], names[j], distance] for i, j, distance in near[:MOST_PAIRS]],
    }
    write_text(made / LIKENESS, json.dumps(found, indent=2) + "\n")
    return found


def read_likeness(made: Path) -> dict[str, Any]:
    """What `likeness` wrote; empty where it was not measured."""
    path = made / LIKENESS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _read(folder: Path, names: Sequence[str]) -> Tensor:
    """`(N, 3, S, S)` in [-1, 1], as large as they are compared, each decoded by itself. All have the first one's shape."""
    side = min(decode_image(folder / names[0]).size)
    return torch.cat([compared_size(to_tensor([decode_image(folder / name)], side)) for name in names])

"""Small labelled sets whose label can be seen: "yes" is bright, "no" is dark; and an edit that is quickly applied."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from core.adaptation.adapt import Adaptation
from core.data.labelled import LabelledSet, read_set
from core.data.labelled_split import drawn_split
from core.methods import METHODS
from core.models.base import Base
from core.types import Edit, EditCard
from tests.tiny import IMAGE_SIZE

QUICK = {"grid": "paper", "inversion_steps": 3, "generation_steps": 2, "return_step": 201}


def write_set(folder: Path, count: int, classes: tuple[str, ...] = ("no", "yes"), seed: int = 0) -> Path:
    """Class folders with `count` noisy pictures each, the brighter the later the class."""
    rng = np.random.default_rng(seed)
    for place, label in enumerate(classes):
        (folder / label).mkdir(parents=True)
        for k in range(count):
            middle = 60 + 140 * place / max(1, len(classes) - 1)
            pixels = rng.normal(middle, 25, (IMAGE_SIZE, IMAGE_SIZE, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{k}.png")
    return folder


def split_set(folder: Path, count: int, **more: object) -> LabelledSet:
    return drawn_split(read_set(write_set(folder, count, **more)), "class", 0.2, 0.3)


def random_edit(base: Base, seed: int = 1) -> Edit:
    generator = torch.Generator().manual_seed(seed)
    weights = {key: value + 0.02 * torch.randn(value.shape, generator=generator) for key, value in base.state_dict().items()}
    prompts = {"reference_prompt": "a photo of a person", "target_prompt": "a pencil sketch of a person"}
    return Edit(EditCard(name="sketch", method="diffusionclip", base_fingerprint=base.fingerprint, **prompts), weights)


def adaptation(base: Base, batch: int = 3, **settings: object) -> Adaptation:
    method = METHODS["diffusionclip"]
    return Adaptation(method, method.edit_settings(**{**QUICK, **settings}), (("sketch", random_edit(base)),), seed=5, batch=batch)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a finished adapted set but the index, which names its folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "set.jsonl")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

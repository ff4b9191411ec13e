"""Who is in the picture: the parameters of a portrait.

*Identity* are the numbers that stay while a person smiles, ages, puts on a hat or is drawn in another domain; *attributes* are six yes/no
facts; *nuisances* are what the photographer and the day decide. All numbers are uniform in [0, 1] and get their meaning in `figure.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

ATTRIBUTES = ("smiling", "glasses", "beard", "hat", "long_hair", "old")
SHARES = (0.5, 0.35, 0.35, 0.3, 0.45, 0.35)  # how often each attribute is true in `sample`

IDENTITY = (
    "face_width", "face_height", "jaw", "chin", "skin", "undertone", "eye_distance", "eye_size", "eye_colour", "eye_roundness",
    "brow_weight", "brow_tilt", "brow_height", "nose_length", "nose_width", "mouth_width", "lips", "mouth_height", "hair_colour",
    "hair_shade", "fringe", "parting", "hair_volume", "ears", "freckles", "curl",
)  # fmt: skip
NUISANCES = (
    "shift_x", "shift_y", "scale", "roll", "yaw", "light_side", "light_height", "contrast", "warmth", "back_hue", "back_colour",
    "back_value", "back_tilt", "cloth_hue", "cloth_colour", "cloth_value", "neckline", "frame_shape", "frame_colour", "hat_shape",
    "hat_hue", "hat_value", "smile_width", "beard_shape", "gaze", "style_a", "style_b", "style_c",
)  # fmt: skip


@dataclass(frozen=True)
class Portraits:
    """n portraits: identity `(n, 26)` and nuisance `(n, 28)` in [0, 1], attributes `(n, 6)` bool, seeds `(n,)` long for textures."""

    identity: Tensor
    nuisance: Tensor
    attributes: Tensor
    seeds: Tensor

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, index: slice | Tensor | list[int]) -> Portraits:
        return Portraits(self.identity[index], self.nuisance[index], self.attributes[index], self.seeds[index])

    def __getattr__(self, name: str) -> Tensor:
        """A parameter by its name, `(n,)`: floats for identity and nuisances, bool for attributes."""
        for names, table in ((IDENTITY, "identity"), (NUISANCES, "nuisance"), (ATTRIBUTES, "attributes")):
            if name in names:
                return getattr(self, table)[:, names.index(name)]
        raise AttributeError(name)


def _circumstances(n: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Nuisances, attributes and texture seeds of n new pictures. Rows are drawn one after the other: the first k do not depend on n."""
    rows = rng.random((n, len(NUISANCES) + len(ATTRIBUTES) + 1))
    nuisance, chance, seed = np.split(rows, [len(NUISANCES), len(NUISANCES) + len(ATTRIBUTES)], axis=1)
    return torch.tensor(nuisance).float(), torch.tensor(chance < np.array(SHARES)), torch.tensor((seed[:, 0] * 2**31).astype(np.int64))


def sample(n: int, seed: int, **fixed: bool) -> Portraits:
    """n portraits of n people, e.g. `sample(8, 0, smiling=True)`. The first k do not depend on n."""
    identity = torch.tensor(np.random.default_rng([seed, 1]).random((n, len(IDENTITY)))).float()
    nuisance, attributes, seeds = _circumstances(n, np.random.default_rng([seed, 2]))
    return with_attributes(Portraits(identity, nuisance, attributes, seeds), **fixed)


def same_people(portraits: Portraits, seed: int) -> Portraits:
    """The same identities on another day: fresh attributes, nuisances and textures."""
    nuisance, attributes, seeds = _circumstances(len(portraits), np.random.default_rng([seed, 3]))
    return Portraits(portraits.identity, nuisance, attributes, seeds)


def with_attributes(portraits: Portraits, **values: bool) -> Portraits:
    """The same pictures with attributes set, e.g. `with_attributes(p, glasses=False)`; everything else stays, textures too."""
    attributes = portraits.attributes.clone()
    for name, value in values.items():
        attributes[:, ATTRIBUTES.index(name)] = value
    return replace(portraits, attributes=attributes)


def limited(n: int, seed: int) -> Portraits:
    """A set in which nobody wears glasses or a hat and nobody smiles: what MetFaces is to photographs."""
    return sample(n, seed, smiling=False, glasses=False, hat=False)

"""Vectors of guided-diffusion-type UNets: the raw outputs, six channels where the variance is learned.

The header holds one JSON object for each network `name`; its weights are under `name/`, its input at `name_x`, outputs at `name_out_t…`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import torch
from diffusers import UNet2DModel

from core.models.mapping import GuidedConfig, guided_to_diffusers
from core.models.unet_folder import load_weights
from core.parity.vectors import Entry, Vectors
from core.process.sampling import batch_t
from core.types import ShiftlabError

OUTPUT = re.compile(r"(?P<network>.+)_out_t(?P<t>\d+)")


def compare(vectors: Vectors) -> Iterator[Entry]:
    """One entry for each recorded output."""
    unets: dict[str, UNet2DModel] = {}
    for name, expected in sorted(vectors.tensors.items()):
        match = OUTPUT.fullmatch(name)
        if match is None or "/" in name:
            continue
        network = match["network"]
        if network not in unets:
            unets[network] = _unet(vectors, network)
        x = vectors.tensors[f"{network}_x"]
        with torch.no_grad():
            yield Entry(name, expected, unets[network](x, batch_t(int(match["t"]), x)).sample)


def guided_config(facts: dict[str, Any]) -> GuidedConfig:
    """The architecture as the header's JSON states it. Raises ShiftlabError for a fact that GuidedConfig does not have."""
    unknown = sorted(facts.keys() - GuidedConfig.__dataclass_fields__.keys())
    if unknown:
        raise ShiftlabError(f"The architecture states {unknown[0]}, which is not known here. Use vectors of a representable model.")
    return GuidedConfig(**{name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()})


def _unet(vectors: Vectors, network: str) -> UNet2DModel:
    arguments, weights = guided_to_diffusers(vectors.under(f"{network}/"), guided_config(json.loads(vectors.header[network])))
    unet = UNet2DModel(**arguments).eval()
    load_weights(unet, weights)
    return unet

"""A network's fingerprint: which weights these are, whatever file, order or precision they came in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from core.types import Context


def weights_hash(state_dict: Mapping[str, Tensor]) -> str:
    """16 hex characters over the names, shapes and values of the weights, in the order of the names.

    Floating-point values are hashed as float32, so weights stored in half precision have the same hash before and after loading.
    """
    digest = hashlib.sha256()
    for name in sorted(state_dict):
        tensor = state_dict[name].detach().cpu()
        values = tensor.to(torch.float32 if tensor.is_floating_point() else torch.int64).contiguous()
        digest.update(f"{name}{tuple(values.shape)}".encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()[:16]


def fingerprints(context: Context) -> dict[str, str]:
    """"name fingerprint" of the base, CLIP and identity encoder that are loaded: what a result, a run and an edit's card record."""
    models = {"base": context.base, "clip": context.clip, "identity": context.identity}
    return {part: f"{model.name} {model.fingerprint}" for part, model in models.items() if model is not None}

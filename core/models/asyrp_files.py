"""Edits that Asyrp released (Kwon et al., ICLR 2023): files with one delta block or several, which are read, not written, here.

A file is a dict: '0' (and '1', …) a delta block's state dict, beside the states of its optimizer and scheduler. A block adds to h, the
output of the UNet's middle, and comes in two types:

ddpm    conv1 1×1 → + temb_proj(SiLU(temb)) → norm2 → SiLU → conv2 1×1                       (some files have an unused norm1)
guided  in_layers (GroupNorm, SiLU, conv 1×1) → + emb_layers → out_layers (GroupNorm, SiLU, dropout, conv 1×1)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from core.types import ShiftlabError

DDPM_BLOCK = ("conv1", "temb_proj", "norm2", "conv2")
GUIDED_BLOCK = ("in_layers.0", "in_layers.2", "emb_layers.1", "out_layers.0", "out_layers.3")
UNUSED = ("norm1.weight", "norm1.bias")


@dataclass(frozen=True)
class DeltaWeights:
    """One delta block's weights, float32, under the file's own names. channels: of h; embedding: of the time embedding."""

    kind: Literal["ddpm", "guided"]
    channels: int
    embedding: int
    weights: dict[str, Tensor]

    @property
    def parameters(self) -> int:
        return sum(tensor.numel() for tensor in self.weights.values())


def is_asyrp(content: Any) -> bool:
    """Whether the content of a file is Asyrp's: a dict whose top key '0' holds a dict that begins as a delta block does."""
    block = content.get("0") if isinstance(content, Mapping) else None
    return isinstance(block, Mapping) and any(str(key).startswith(("conv1.", "in_layers.")) for key in block)


def delta_blocks(content: Mapping[str, Any]) -> list[DeltaWeights]:
    """The blocks of a file, in the order of their numbers. Raises ShiftlabError for a block that is none or is incomplete."""
    numbers = sorted((key for key in content if str(key).isdigit()), key=int)
    return [delta_block(content[key], f"Block {key}") for key in numbers]


def delta_block(state: Mapping[str, Tensor], name: str = "The block") -> DeltaWeights:
    """One block, checked strictly: every weight there, none unknown, shapes that fit each other."""
    state = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    kind: Literal["ddpm", "guided"] = "ddpm" if "conv1.weight" in state else "guided"
    modules = DDPM_BLOCK if kind == "ddpm" else GUIDED_BLOCK
    weights = {key: tensor for key, tensor in state.items() if not (kind == "ddpm" and key in UNUSED)}
    expected = {f"{module}.{parameter}" for module in modules for parameter in ("weight", "bias")}
    for keys, fault in ((expected - weights.keys(), "lacks"), (weights.keys() - expected, "has an unknown")):
        if keys:
            raise ShiftlabError(f"{name} of this Asyrp file {fault} {min(keys)}. Copy the file anew, or choose another.")
    convolution, embedding = (weights[f"{modules[i]}.weight"] for i in ((0, 1) if kind == "ddpm" else (1, 2)))
    channels = convolution.shape[0]
    widths = {"weight": ((channels, channels), (channels, embedding.shape[-1]), (channels,)), "bias": ((channels,),)}
    for key, tensor in weights.items():
        shape = tuple(tensor.shape[:2]) if set(tensor.shape[2:]) <= {1} else tuple(tensor.shape)
        if shape not in widths[key.rpartition(".")[2]]:
            raise ShiftlabError(
                f"{name} of this Asyrp file has {key} in the shape {tuple(tensor.shape)}, which fits no block of {channels} channels. "
                "Choose another file."
            )
    return DeltaWeights(kind, channels, embedding.shape[-1], {key: tensor.float() for key, tensor in weights.items()})

"""The delta block f_t(h): what Asyrp trains (Kwon et al., ICLR 2023, section 4 and figure 3). Both types that were published.

The names of the weights are those of the released files, so that these load as they are. Both begin with PyTorch's own random weights,
as the reference does: from a block that begins as nothing, the direction of a change would be that of a zero.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.asyrp_files import DeltaWeights
from core.models.h_space import HSpace
from core.types import ShiftlabError

GROUPS = 32


def _norm(channels: int, eps: float) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels, eps=eps)


class DDPMDeltaBlock(nn.Module):
    """conv 1×1 → + Linear(SiLU(emb)) → GroupNorm → SiLU → conv 1×1, for DDPM-type networks."""

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.temb_proj = nn.Linear(embedding, channels)
        self.norm2 = _norm(channels, 1e-6)
        self.conv2 = nn.Conv2d(channels, channels, 1)

    def forward(self, h: Tensor, emb: Tensor) -> Tensor:
        """h `(B, C, h, w)`, emb `(B, E)` → Δh, of h's shape."""
        inner = self.conv1(h) + self.temb_proj(F.silu(emb))[:, :, None, None]
        return self.conv2(F.silu(self.norm2(inner)))


class GuidedDeltaBlock(nn.Module):
    """GroupNorm → SiLU → conv 1×1 → + Linear(SiLU(emb)) → GroupNorm → SiLU → conv 1×1, for guided-diffusion networks."""

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(_norm(channels, 1e-5), nn.SiLU(), nn.Conv2d(channels, channels, 1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, channels))
        # Identity stands where the released files have a dropout of 0, and keeps their numbering.
        self.out_layers = nn.Sequential(_norm(channels, 1e-5), nn.SiLU(), nn.Identity(), nn.Conv2d(channels, channels, 1))

    def forward(self, h: Tensor, emb: Tensor) -> Tensor:
        """h `(B, C, h, w)`, emb `(B, E)` → Δh, of h's shape."""
        return self.out_layers(self.in_layers(h) + self.emb_layers(emb)[:, :, None, None])


DeltaBlock = DDPMDeltaBlock | GuidedDeltaBlock
KINDS: dict[str, type[DDPMDeltaBlock] | type[GuidedDeltaBlock]] = {"ddpm": DDPMDeltaBlock, "guided": GuidedDeltaBlock}


def new_block(space: HSpace, seed: int) -> DeltaBlock:
    """An untrained block of the type that suits the base's family: guided where its time embedding scales and shifts."""
    kind = "guided" if space.base.unet.config.resnet_time_scale_shift == "scale_shift" else "ddpm"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return KINDS[kind](space.channels, space.embedding).to(space.base.device)


def block_of(weights: DeltaWeights, space: HSpace, edit: str) -> DeltaBlock:
    """The block with these weights, frozen. Raises ShiftlabError where its widths are not those of the base; edit: its name."""
    if (weights.channels, weights.embedding) != (space.channels, space.embedding):
        raise ShiftlabError(
            f"The edit {edit!r} shifts {weights.channels} channels, and the middle of the base {space.base.name} has {space.channels}. "
            "Load the base that it was trained for."
        )
    block = KINDS[weights.kind](weights.channels, weights.embedding)
    own = block.state_dict()
    block.load_state_dict({name: tensor.reshape(own[name].shape) for name, tensor in weights.weights.items()})
    return block.to(space.base.device).eval().requires_grad_(False)

"""Perturbed-attention guidance (Ahn et al., "Self-Rectifying Diffusion Sampling with Perturbed-Attention Guidance", ECCV 2024).

A network is asked twice: as it is, and with every map of its self-attention replaced by the identity, so that each place sees itself
alone. What the second answer lacks is what places know of each other: eyes that match, an outline that closes. A step away from it
strengthens that, without a label, a prompt or any training.

All self-attention of the network is perturbed; the paper chooses layers by trial, for the networks that it guides.
"""

from __future__ import annotations

import copy

import torch
from diffusers import UNet2DModel
from diffusers.models.attention_processor import Attention, PAGIdentitySelfAttnProcessor2_0
from torch import Tensor

from core.types import EpsModel, ShiftlabError


def in_pairs(unet: UNet2DModel) -> UNet2DModel:
    """A network on the same weights whose batch is pairs: its first half goes through as ever, its second half with identity for attention.

    The weights are shared, so it learns and moves between devices with `unet`. Raises ShiftlabError for a network without self-attention.
    """
    twin = copy.deepcopy(unet, {id(parameter): parameter for parameter in unet.parameters()})
    attentions = [module for module in twin.modules() if isinstance(module, Attention)]
    if not attentions:
        raise ShiftlabError("This base has no attention to guide with. Set the attention guidance to 0.")
    for attention in attentions:
        attention.set_processor(PAGIdentitySelfAttnProcessor2_0())
    return twin


def guided(pairs: EpsModel, scale: float) -> EpsModel:
    """ε + scale·(ε − ε̂), with ε and ε̂ from one call of a network of `in_pairs`. x `(B, 3, H, W)`, t `(B,)`, twice the work."""

    def eps(x: Tensor, t: Tensor) -> Tensor:
        plain, perturbed = pairs(torch.cat([x, x]), torch.cat([t, t])).chunk(2)
        return plain + scale * (plain - perturbed)

    return eps

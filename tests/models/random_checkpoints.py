"""Random checkpoints in the published key layouts. Every tensor is disturbed, norms and biases too, so that none can be lost unnoticed."""

from __future__ import annotations

import torch
from diffusers import UNet2DModel
from torch import Tensor

from core.models.mapping import (
    DDPMConfig,
    GuidedConfig,
    ddpm_from_diffusers,
    ddpm_unet_config,
    guided_from_diffusers,
    guided_unet_config,
)


def random_ddpm(config: DDPMConfig, seed: int = 0) -> dict[str, Tensor]:
    return ddpm_from_diffusers(_disturbed(ddpm_unet_config(config), seed), config)


def random_guided(config: GuidedConfig, seed: int = 0) -> dict[str, Tensor]:
    return guided_from_diffusers(_disturbed(guided_unet_config(config), seed), config)


def _disturbed(arguments: dict, seed: int) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return {name: tensor + 0.05 * torch.randn_like(tensor) for name, tensor in UNet2DModel(**arguments).state_dict().items()}

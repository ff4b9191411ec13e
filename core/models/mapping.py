"""The two families of published checkpoints as diffusers' UNet2DModel, exactly (to 3e-6 in float32), and back.

- DDPM (Ho et al. 2020, as DiffusionCLIP and Asyrp use it): keys `temb.dense.0.weight`, `down.0.block.0.conv1.weight`, …
- guided-diffusion (Dhariwal & Nichol 2021), also P2, ILVR and SDFT: keys `time_embed.0.weight`, `input_blocks.1.0.in_layers.0.weight`, …

An architecture says which module of ours each of theirs becomes; the names inside a module are the tables below. Where diffusers'
defaults differ from the originals, a line says so: each of these differences costs far more than the bound of 1e-5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from core.types import ShiftlabError

Kind = Literal["plain", "resnet", "attention"]
Module = tuple[str, str, Kind]  # (their prefix, our prefix, which table its names are in)

DDPM_NAMES: dict[Kind, dict[str, str]] = {
    "plain": {"": ""},
    "resnet": {
        "norm1": "norm1",
        "conv1": "conv1",
        "temb_proj": "time_emb_proj",
        "norm2": "norm2",
        "conv2": "conv2",
        "nin_shortcut": "conv_shortcut",
    },
    "attention": {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"},
}
GUIDED_NAMES: dict[Kind, dict[str, str]] = {
    "plain": {"": ""},
    "resnet": {
        "in_layers.0": "norm1",
        "in_layers.2": "conv1",
        "emb_layers.1": "time_emb_proj",
        "out_layers.0": "norm2",
        "out_layers.3": "conv2",
        "skip_connection": "conv_shortcut",
    },
    "attention": {"norm": "group_norm", "qkv": "qkv", "proj_out": "to_out.0"},  # qkv: cut in three afterwards
}


@dataclass(frozen=True)
class DDPMConfig:
    """Architecture of a DDPM checkpoint; the defaults are celeba_hq.ckpt's. attn_resolutions are pixels of the feature map."""

    ch: int = 128
    ch_mult: tuple[int, ...] = (1, 1, 2, 2, 4, 4)
    num_res_blocks: int = 2
    attn_resolutions: tuple[int, ...] = (16,)
    image_size: int = 256
    in_channels: int = 3
    out_channels: int = 3

    def attends(self, level: int) -> bool:
        return self.image_size // 2**level in self.attn_resolutions


@dataclass(frozen=True)
class GuidedConfig:
    """Architecture of a guided-diffusion checkpoint; the defaults are P2's. attention_resolutions are downsampling factors, not pixels."""

    model_channels: int = 128
    channel_mult: tuple[int, ...] = (1, 1, 2, 2, 4, 4)
    num_res_blocks: int = 1
    attention_resolutions: tuple[int, ...] = (16,)
    num_head_channels: int = 64
    image_size: int = 256
    in_channels: int = 3
    out_channels: int = 6
    use_scale_shift_norm: bool = True
    resblock_updown: bool = True

    def attends(self, level: int) -> bool:
        return 2**level in self.attention_resolutions


def ddpm_unet_config(config: DDPMConfig) -> dict[str, Any]:
    """The arguments of UNet2DModel for a DDPM checkpoint. Raises ShiftlabError where it cannot represent the architecture."""
    _check_multipliers(config.ch_mult)
    levels = range(len(config.ch_mult))
    down = ["AttnDownBlock2D" if config.attends(i) else "DownBlock2D" for i in levels]
    return {
        "sample_size": config.image_size,
        "in_channels": config.in_channels,
        "out_channels": config.out_channels,
        "block_out_channels": tuple(config.ch * m for m in config.ch_mult),
        "layers_per_block": config.num_res_blocks,
        "down_block_types": tuple(down),
        "up_block_types": tuple(_up(name) for name in reversed(down)),
        "downsample_padding": 0,  # theirs pads on the right and below only
        "freq_shift": 1,  # their frequencies end at exactly 1/10000
        "flip_sin_to_cos": False,  # sines first
        "attention_head_dim": None,  # one head
        "norm_eps": 1e-6,
    }


def guided_unet_config(config: GuidedConfig) -> dict[str, Any]:
    """The arguments of UNet2DModel for a guided-diffusion checkpoint. Raises ShiftlabError where it cannot represent the architecture."""
    _check_multipliers(config.channel_mult)
    if config.num_head_channels < 1:
        raise ShiftlabError("Models with a fixed number of heads (such as ADM-128) cannot be represented. Use one with num_head_channels.")
    plain = "ResnetDownsampleBlock2D" if config.resblock_updown else "DownBlock2D"
    levels = range(len(config.channel_mult))
    down = ["AttnDownBlock2D" if config.attends(i) else plain for i in levels]
    sampling = "resnet" if config.resblock_updown else "conv"
    return {
        "sample_size": config.image_size,
        "in_channels": config.in_channels,
        "out_channels": config.out_channels,
        "block_out_channels": tuple(config.model_channels * m for m in config.channel_mult),
        "layers_per_block": config.num_res_blocks,
        "down_block_types": tuple(down),
        "up_block_types": tuple(_up(name) for name in reversed(down)),
        "downsample_type": sampling,
        "upsample_type": sampling,
        "resnet_time_scale_shift": "scale_shift" if config.use_scale_shift_norm else "default",
        "attention_head_dim": config.num_head_channels,
        "attn_norm_num_groups": 32,  # without it, scale_shift drops the norm of the middle attention
        "freq_shift": 0,
        "flip_sin_to_cos": True,
        "norm_eps": 1e-5,
    }


def ddpm_to_diffusers(state_dict: Mapping[str, Tensor], config: DDPMConfig) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(arguments of UNet2DModel, its state dict in float32). Raises ShiftlabError for keys that the architecture does not have."""
    arguments = ddpm_unet_config(config)
    weights = _rename(state_dict, _ddpm_modules(config), DDPM_NAMES)
    return arguments, {name: _squeezed(name, tensor) for name, tensor in weights.items()}


def guided_to_diffusers(state_dict: Mapping[str, Tensor], config: GuidedConfig) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(arguments of UNet2DModel, its state dict in float32). Raises ShiftlabError for keys that the architecture does not have."""
    arguments = guided_unet_config(config)
    weights: dict[str, Tensor] = {}
    for name, tensor in _rename(state_dict, _guided_modules(config), GUIDED_NAMES).items():
        tensor = _squeezed(name, tensor)
        weights.update(_cut_qkv(name, tensor, config.num_head_channels) if ".qkv." in name else {name: tensor})
    return arguments, weights


def ddpm_from_diffusers(weights: Mapping[str, Tensor], config: DDPMConfig) -> dict[str, Tensor]:
    """The checkpoint's keys and shapes again, for weights of a UNet2DModel with `ddpm_unet_config(config)`."""
    named = _rename(weights, _turned(_ddpm_modules(config)), {kind: _turned_names(names) for kind, names in DDPM_NAMES.items()})
    one_by_one = (".q.weight", ".k.weight", ".v.weight", ".proj_out.weight")
    return {name: tensor[:, :, None, None] if name.endswith(one_by_one) else tensor for name, tensor in named.items()}


def guided_from_diffusers(weights: Mapping[str, Tensor], config: GuidedConfig) -> dict[str, Tensor]:
    """The checkpoint's keys and shapes again, for weights of a UNet2DModel with `guided_unet_config(config)`."""
    joined = dict(weights)
    for q in [name for name in weights if ".to_q." in name]:
        thirds = [joined.pop(q.replace(".to_q.", f".to_{letter}.")) for letter in "qkv"]
        joined[q.replace(".to_q.", ".qkv.")] = _join_qkv(thirds, config.num_head_channels)
    named = _rename(joined, _turned(_guided_modules(config)), {kind: _turned_names(names) for kind, names in GUIDED_NAMES.items()})
    one_by_one = (".qkv.weight", ".proj_out.weight")
    return {name: tensor[:, :, None] if name.endswith(one_by_one) else tensor for name, tensor in named.items()}


def _ddpm_modules(config: DDPMConfig) -> Iterator[Module]:
    """Every module of a DDPM checkpoint. Their up[i] is our up_blocks[n − 1 − i]."""
    yield from (("temb.dense.0", "time_embedding.linear_1", "plain"), ("temb.dense.1", "time_embedding.linear_2", "plain"))
    yield from (("conv_in", "conv_in", "plain"), ("norm_out", "conv_norm_out", "plain"), ("conv_out", "conv_out", "plain"))
    yield from (("mid.block_1", "mid_block.resnets.0", "resnet"), ("mid.block_2", "mid_block.resnets.1", "resnet"))
    yield ("mid.attn_1", "mid_block.attentions.0", "attention")
    top = len(config.ch_mult) - 1
    for level in range(top + 1):
        sides = ((f"down.{level}", f"down_blocks.{level}", 0), (f"up.{level}", f"up_blocks.{top - level}", 1))
        for theirs, ours, extra in sides:
            for block in range(config.num_res_blocks + extra):
                yield (f"{theirs}.block.{block}", f"{ours}.resnets.{block}", "resnet")
                if config.attends(level):
                    yield (f"{theirs}.attn.{block}", f"{ours}.attentions.{block}", "attention")
        if level < top:
            yield (f"down.{level}.downsample.conv", f"down_blocks.{level}.downsamplers.0.conv", "plain")
        if level > 0:
            yield (f"up.{level}.upsample.conv", f"up_blocks.{top - level}.upsamplers.0.conv", "plain")


def _guided_modules(config: GuidedConfig) -> Iterator[Module]:
    """Every module of a guided-diffusion checkpoint."""
    yield from (("time_embed.0", "time_embedding.linear_1", "plain"), ("time_embed.2", "time_embedding.linear_2", "plain"))
    yield from (("input_blocks.0.0", "conv_in", "plain"), ("out.0", "conv_norm_out", "plain"), ("out.2", "conv_out", "plain"))
    yield from (("middle_block.0", "mid_block.resnets.0", "resnet"), ("middle_block.2", "mid_block.resnets.1", "resnet"))
    yield ("middle_block.1", "mid_block.attentions.0", "attention")
    yield from _guided_down(config)
    yield from _guided_up(config)


def _guided_down(config: GuidedConfig) -> Iterator[Module]:
    """input_blocks, numbered on from the first convolution: the blocks of a level, then its downsampling."""
    number, top = 1, len(config.channel_mult) - 1
    for level in range(top + 1):
        for block in range(config.num_res_blocks):
            yield (f"input_blocks.{number}.0", f"down_blocks.{level}.resnets.{block}", "resnet")
            if config.attends(level):
                yield (f"input_blocks.{number}.1", f"down_blocks.{level}.attentions.{block}", "attention")
            number += 1
        if level < top:
            yield _sampler(config, f"input_blocks.{number}.0", "op", f"down_blocks.{level}.downsamplers.0")
            number += 1


def _guided_up(config: GuidedConfig) -> Iterator[Module]:
    """output_blocks, from the deepest level; the upsampling is the last child of the level's last block."""
    number, top = 0, len(config.channel_mult) - 1
    for up, level in enumerate(range(top, -1, -1)):
        for block in range(config.num_res_blocks + 1):
            yield (f"output_blocks.{number}.0", f"up_blocks.{up}.resnets.{block}", "resnet")
            if config.attends(level):
                yield (f"output_blocks.{number}.1", f"up_blocks.{up}.attentions.{block}", "attention")
            if level > 0 and block == config.num_res_blocks:
                child = 2 if config.attends(level) else 1
                yield _sampler(config, f"output_blocks.{number}.{child}", "conv", f"up_blocks.{up}.upsamplers.0")
            number += 1


def _sampler(config: GuidedConfig, theirs: str, convolution: str, ours: str) -> Module:
    return (theirs, ours, "resnet") if config.resblock_updown else (f"{theirs}.{convolution}", f"{ours}.conv", "plain")


def _rename(state_dict: Mapping[str, Tensor], modules: Iterator[Module], names: Mapping[Kind, Mapping[str, str]]) -> dict[str, Tensor]:
    """The tensors under their new names, in float32. Raises ShiftlabError when one is left over: then it is another architecture."""
    left, renamed = dict(state_dict), {}
    for old_module, new_module, kind in modules:
        for old, new in names[kind].items():
            for parameter in ("weight", "bias"):
                tensor = left.pop(".".join(filter(None, (old_module, old, parameter))), None)
                if tensor is not None:  # a missing one is found when the network loads its weights
                    renamed[".".join(filter(None, (new_module, new, parameter)))] = tensor.float()
    if left:
        raise ShiftlabError(f"The checkpoint has weights that the architecture does not know, such as {min(left)}. State its own.")
    return renamed


def _turned(modules: Iterator[Module]) -> Iterator[Module]:
    return ((ours, theirs, kind) for theirs, ours, kind in modules)


def _turned_names(names: Mapping[str, str]) -> dict[str, str]:
    return {ours: theirs for theirs, ours in names.items()}


def _squeezed(name: str, tensor: Tensor) -> Tensor:
    """Attention's 1×1 convolutions as the matrices of Linear layers."""
    return tensor.flatten(1) if ".attentions." in name and name.endswith("weight") and tensor.ndim > 2 else tensor


def _cut_qkv(name: str, qkv: Tensor, head_channels: int) -> dict[str, Tensor]:
    """guided-diffusion's legacy order is head-major: rows are (heads, 3, head_channels)."""
    thirds = qkv.unflatten(0, (-1, 3, head_channels)).unbind(1)
    return {name.replace(".qkv.", f".to_{letter}."): third.flatten(0, 1) for letter, third in zip("qkv", thirds, strict=True)}


def _join_qkv(thirds: list[Tensor], head_channels: int) -> Tensor:
    return torch.stack([third.unflatten(0, (-1, head_channels)) for third in thirds], dim=1).flatten(0, 2)


def _up(down_block_type: str) -> str:
    return down_block_type.replace("Downsample", "Upsample").replace("Down", "Up")


def _check_multipliers(multipliers: tuple[int, ...]) -> None:
    """diffusers takes the width of the first convolution and of the time embedding from the first level."""
    if multipliers[0] != 1:
        raise ShiftlabError(f"Channel multipliers from {multipliers[0]} on (as ImageNet-512's) cannot be represented. Use another model.")

"""The two published UNet families written down a second time, as plain functions of a checkpoint's own keys: a witness for the mapping.

Nothing here uses diffusers. `w` is a state dict, `c` the configuration, x `(B, 3, H, W)`, t long `(B,)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from core.models.mapping import DDPMConfig, GuidedConfig

Weights = dict[str, Tensor]
Shift = Callable[[Tensor, Tensor], Tensor]


def _linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])


def _conv(w: Weights, name: str, x: Tensor, **how: int) -> Tensor:
    weight = w[f"{name}.weight"]
    convolve = F.conv1d if weight.ndim == 3 else F.conv2d
    return convolve(x, weight, w[f"{name}.bias"], **how)


def _norm(w: Weights, name: str, x: Tensor, eps: float) -> Tensor:
    return F.group_norm(x, 32, w[f"{name}.weight"], w[f"{name}.bias"], eps)


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """(heads, channels, positions) each; softmax over the positions of k."""
    scores = torch.einsum("hci,hcj->hij", q, k) / math.sqrt(q.shape[1])
    return torch.einsum("hij,hcj->hci", scores.softmax(dim=-1), v)


def ddpm(w: Weights, c: DDPMConfig, x: Tensor, t: Tensor, shift: Shift | None = None) -> Tensor:
    """shift: h and the time embedding to what stands in h's place."""
    half = c.ch // 2
    angles = t[:, None].float() * torch.exp(-math.log(10000) / (half - 1) * torch.arange(half))
    embedding = torch.cat([angles.sin(), angles.cos()], dim=1)
    embedding = _linear(w, "temb.dense.1", F.silu(_linear(w, "temb.dense.0", embedding)))

    def resnet(name: str, x: Tensor) -> Tensor:
        h = _conv(w, f"{name}.conv1", F.silu(_norm(w, f"{name}.norm1", x, 1e-6)), padding=1)
        h = h + _linear(w, f"{name}.temb_proj", F.silu(embedding))[:, :, None, None]
        h = _conv(w, f"{name}.conv2", F.silu(_norm(w, f"{name}.norm2", h, 1e-6)), padding=1)
        return h + (_conv(w, f"{name}.nin_shortcut", x) if f"{name}.nin_shortcut.weight" in w else x)

    def attention(name: str, x: Tensor) -> Tensor:
        h = _norm(w, f"{name}.norm", x, 1e-6)
        q, k, v = (_conv(w, f"{name}.{letter}", h).flatten(2) for letter in "qkv")
        return x + _conv(w, f"{name}.proj_out", _attend(q, k, v).reshape(x.shape))

    def block(name: str, level: int, number: int, x: Tensor) -> Tensor:
        x = resnet(f"{name}.{level}.block.{number}", x)
        return attention(f"{name}.{level}.attn.{number}", x) if c.attends(level) else x

    top = len(c.ch_mult) - 1
    h = _conv(w, "conv_in", x, padding=1)
    skips = [h]
    for level in range(top + 1):
        for number in range(c.num_res_blocks):
            h = block("down", level, number, h)
            skips.append(h)
        if level < top:
            h = _conv(w, f"down.{level}.downsample.conv", F.pad(h, (0, 1, 0, 1)), stride=2)
            skips.append(h)
    h = resnet("mid.block_2", attention("mid.attn_1", resnet("mid.block_1", h)))
    h = h if shift is None else shift(h, embedding)
    for level in range(top, -1, -1):
        for number in range(c.num_res_blocks + 1):
            h = block("up", level, number, torch.cat([h, skips.pop()], dim=1))
        if level > 0:
            h = _conv(w, f"up.{level}.upsample.conv", F.interpolate(h, scale_factor=2.0), padding=1)
    return _conv(w, "conv_out", F.silu(_norm(w, "norm_out", h, 1e-6)), padding=1)


def guided(w: Weights, c: GuidedConfig, x: Tensor, t: Tensor) -> Tensor:
    half = c.model_channels // 2
    angles = t[:, None].float() * torch.exp(-math.log(10000) / half * torch.arange(half))
    embedding = torch.cat([angles.cos(), angles.sin()], dim=1)
    embedding = _linear(w, "time_embed.2", F.silu(_linear(w, "time_embed.0", embedding)))

    def same(x: Tensor) -> Tensor:
        return x

    def double(x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0)

    def halve(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2)

    def resnet(name: str, x: Tensor, resample=same) -> Tensor:
        h = resample(F.silu(_norm(w, f"{name}.in_layers.0", x, 1e-5)))
        h, x = _conv(w, f"{name}.in_layers.2", h, padding=1), resample(x)
        added = _linear(w, f"{name}.emb_layers.1", F.silu(embedding))[:, :, None, None]
        if c.use_scale_shift_norm:
            scale, shift = added.chunk(2, dim=1)
            h = _norm(w, f"{name}.out_layers.0", h, 1e-5) * (1 + scale) + shift
        else:
            h = _norm(w, f"{name}.out_layers.0", h + added, 1e-5)
        h = _conv(w, f"{name}.out_layers.3", F.silu(h), padding=1)
        return h + (_conv(w, f"{name}.skip_connection", x) if f"{name}.skip_connection.weight" in w else x)

    def attention(name: str, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        qkv = _conv(w, f"{name}.qkv", _norm(w, f"{name}.norm", flat, 1e-5))
        heads = qkv.reshape(-1, 3 * c.num_head_channels, flat.shape[2])  # head-major: each head has its q, k and v together
        h = _attend(*heads.split(c.num_head_channels, dim=1)).reshape(flat.shape)
        return x + _conv(w, f"{name}.proj_out", h).reshape(x.shape)

    top, number = len(c.channel_mult) - 1, 1
    h = _conv(w, "input_blocks.0.0", x, padding=1)
    skips = [h]
    for level in range(top + 1):
        for _ in range(c.num_res_blocks):
            h = resnet(f"input_blocks.{number}.0", h)
            h = attention(f"input_blocks.{number}.1", h) if c.attends(level) else h
            skips.append(h)
            number += 1
        if level < top:
            name = f"input_blocks.{number}.0"
            h = resnet(name, h, halve) if c.resblock_updown else _conv(w, f"{name}.op", h, stride=2, padding=1)
            skips.append(h)
            number += 1
    h = resnet("middle_block.2", attention("middle_block.1", resnet("middle_block.0", h)))
    number = 0
    for level in range(top, -1, -1):
        for last in [False] * c.num_res_blocks + [True]:
            h = resnet(f"output_blocks.{number}.0", torch.cat([h, skips.pop()], dim=1))
            h = attention(f"output_blocks.{number}.1", h) if c.attends(level) else h
            if last and level > 0:
                name = f"output_blocks.{number}.{2 if c.attends(level) else 1}"
                h = resnet(name, h, double) if c.resblock_updown else _conv(w, f"{name}.conv", double(h), padding=1)
            number += 1
    return _conv(w, "out.2", F.silu(_norm(w, "out.0", h, 1e-5)), padding=1)

"""Writes vector files like the reference ones, with other weights and other shapes, so that `python -m core.parity` is tested here.

`python -m tests.parity.record <folder>` writes both for small networks with random weights. The numbers come from the networks as
tests/models/reference_unets.py writes them down, and from a DDIM step of its own in float64.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from core.models.mapping import DDPMConfig, GuidedConfig
from tests.models import reference_unets
from tests.models.random_checkpoints import random_ddpm, random_guided

ALPHA_BAR = torch.tensor([*np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)), 1.0])  # the last one answers to −1


def record_ddpm(folder: Path, config: DDPMConfig, seed: int = 0, steps: int = 7, t0: int = 401) -> Path:
    """ddpm_diffusionclip.safetensors with every kind of entry."""
    nets = {name: random_ddpm(config, seed + i) for i, name in enumerate(("base", "tuned", "second"))}
    g = torch.Generator().manual_seed(seed)
    size = (2, 3, config.image_size, config.image_size)
    x0, x, z = torch.rand(size, generator=g) * 2 - 1, torch.randn(size, generator=g), torch.randn(size, generator=g)

    def eps(name: str, x: Tensor, t: int) -> Tensor:
        return reference_unets.ddpm(nets[name], config, x, torch.full((2,), t))

    grid = [k * t0 // (steps - 1) for k in range(steps)]
    latent = x0
    for t, n in pairwise(grid):
        latent = _step(latent, eps("base", latent, t), t, n)
    entries = {f"eps_t{t}": eps("base", x0, t) for t in (1, 640)}
    entries[f"inverted_{steps}_t{t0}"] = latent
    for entry, net in ((f"generated_tuned_{steps}", "tuned"), (f"reconstructed_{steps}", "base")):
        y = latent
        for t, n in zip(grid[::-1], [*grid[-2::-1], -1], strict=True):
            y = _step(y, eps(net, y, t), t, n)
        entries[entry] = y
    entries["step_ratio_0.8_t500_n420"] = _step(x, 0.8 * eps("tuned", x, 500) + 0.2 * eps("base", x, 500), 500, 420)
    entries["step_hybrid_0.25_0.75_t90_n60"] = _step(x, 0.25 * eps("tuned", x, 90) + 0.75 * eps("second", x, 90), 90, 60)
    entries["step_eta1_t500_n420"] = _step(x, eps("base", x, 500), 500, 420, z)
    inputs = {"x0": x0, "step_input": x, "eta1_noise": z}
    weights = {f"{name}/{key}": tensor for name, net in nets.items() for key, tensor in net.items()}
    return _save(folder / "ddpm_diffusionclip.safetensors", {**inputs, **entries, **weights}, _text(asdict(config)))


def record_guided(folder: Path, configs: dict[str, GuidedConfig], seed: int = 0) -> Path:
    """guided_p2.safetensors with two outputs of each network."""
    tensors: dict[str, Tensor] = {}
    for name, config in configs.items():
        weights = random_guided(config, seed)
        x = torch.randn(2, 3, config.image_size, config.image_size, generator=torch.Generator().manual_seed(seed))
        tensors |= {f"{name}/{key}": tensor for key, tensor in weights.items()} | {f"{name}_x": x}
        tensors |= {f"{name}_out_t{t}": reference_unets.guided(weights, config, x, torch.full((2,), t)) for t in (0, 512)}
    header = {name: json.dumps(asdict(config)) for name, config in configs.items()}
    return _save(folder / "guided_p2.safetensors", tensors, header)


def record_asyrp(folder: Path, config: DDPMConfig, seed: int = 0, t_edit: int = 420) -> Path:
    """asyrp.safetensors. Every ε is a whole pass of the network with its middle replaced; P and D are put together in float64."""
    net, g = random_ddpm(config, seed), torch.Generator().manual_seed(seed)
    channels, wide = config.ch * config.ch_mult[-1], 4 * config.ch
    shapes = {"conv1": (channels, channels, 1, 1), "temb_proj": (channels, wide), "norm2": (channels,), "conv2": (channels, channels, 1, 1)}
    blocks = [
        {f"{name}.{part}": torch.randn(shape if part == "weight" else shape[:1], generator=g) * 0.2
         for name, shape in shapes.items() for part in ("weight", "bias")}
        for _ in range(2)
    ]  # fmt: skip
    x, z = (torch.randn(2, 3, config.image_size, config.image_size, generator=g) for _ in range(2))
    inside: dict[str, Tensor] = {}

    def delta(w: dict[str, Tensor], h: Tensor, emb: Tensor) -> Tensor:
        added = F.linear(F.silu(emb), w["temb_proj.weight"], w["temb_proj.bias"])
        inner = F.conv2d(h, w["conv1.weight"], w["conv1.bias"]) + added[..., None, None]
        return F.conv2d(F.silu(F.group_norm(inner, 32, w["norm2.weight"], w["norm2.bias"], 1e-6)), w["conv2.weight"], w["conv2.bias"])

    def eps(t: int, *strengths: float) -> Tensor:
        def shift(h: Tensor, emb: Tensor) -> Tensor:
            inside.update(h=h, delta_h=delta(blocks[0], h, emb))
            return h + sum((c * delta(w, h, emb) for c, w in zip(strengths, blocks, strict=False)), torch.zeros(()))

        return reference_unets.ddpm(net, config, x, torch.full((2,), t), shift)

    def edited(t: int, n: int, *strengths: float) -> Tensor:
        change = (1 - ALPHA_BAR[t]).sqrt() * (eps(t).double() - eps(t, *strengths).double()) / ALPHA_BAR[t].sqrt()
        return (_step(x, eps(t), t, n).double() + ALPHA_BAR[n].sqrt() * change).float()

    entries = {f"edited_t640_n600_c{c}": edited(640, 600, c) for c in (0.9, -0.4)}
    entries["two_attributes_c0.5_c-0.25_t640_n600"] = edited(640, 600, 0.5, -0.25)
    entries["edited_x0_t640"] = ((x - (1 - ALPHA_BAR[640]).sqrt() * eps(640, 0.9)) / ALPHA_BAR[640].sqrt()).float()
    entries |= {f"{name}_t640": value for name, value in inside.items()}
    entries["below_t_edit_t419_n380"] = _step(x, eps(419), 419, 380)
    entries["boost_eta1_t90_n60"] = _step(x, eps(90), 90, 60, z)
    weights = {f"delta{i}/{name}": value for i, block in enumerate(blocks) for name, value in block.items()}
    weights |= {f"base/{name}": value for name, value in net.items()}
    header = {**_text(asdict(config)), "t_edit": str(t_edit)}
    return _save(folder / "asyrp.safetensors", {"x": x, "boost_noise": z, **entries, **weights}, header)


def record_egsde(folder: Path, seed: int = 0, size: int = 32, n: int = 8, t: int = 120) -> Path:
    """egsde.safetensors. The mirror beyond the borders is written out as a three times larger picture; the gradient by autograd."""
    g = torch.Generator().manual_seed(seed)
    inputs = {name: torch.randn(2, 3, size, size, generator=g) for name in ("y", "x_t", "eps", "noise")}
    inputs["feature_weight"], inputs["feature_bias"] = torch.randn(5, 3, 3, 3, generator=g) / 6, torch.randn(5, generator=g) / 6

    def low_pass(x: Tensor) -> Tensor:
        row = torch.cat([x.flip(3), x, x.flip(3)], dim=3)
        mirrored = torch.cat([row.flip(2), row, row.flip(2)], dim=2)
        small = F.interpolate(mirrored, scale_factor=1 / n, mode="bilinear", antialias=True, align_corners=False)
        return F.interpolate(small, scale_factor=n, mode="bilinear", align_corners=False)[..., size : 2 * size, size : 2 * size]

    def features(x: Tensor) -> Tensor:
        return torch.tanh(F.conv2d(x, inputs["feature_weight"], inputs["feature_bias"], stride=2, padding=1))

    y = inputs["y"].clone().requires_grad_(True)
    a, b = features(y), features(inputs["x_t"])
    alike = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
    energy = 300 * alike.flatten(1).mean(1).sum() + 3 * (low_pass(y) - low_pass(inputs["x_t"])).pow(2).sum()
    (gradient,) = torch.autograd.grad(energy, y)
    beta, before, now = np.linspace(1e-4, 0.02, 1000)[t], ALPHA_BAR[t - 1], ALPHA_BAR[t]
    mean = (inputs["y"] - beta / (1 - now).sqrt() * inputs["eps"]) / (1 - beta) ** 0.5
    out = mean + (beta * (1 - before) / (1 - now)).sqrt() * inputs["noise"] - beta / (1 - beta) ** 0.5 * gradient
    header = {"t": str(t), "lambda_s": "300", "lambda_i": "3", "low_pass": f"linear, anti-aliased, N={n}"}
    return _save(folder / "egsde.safetensors", {**inputs, "low_pass_y": low_pass(inputs["y"]), "out": out.float()}, header)


def _step(x: Tensor, eps: Tensor, t: int, n: int, z: Tensor | None = None) -> Tensor:
    """One DDIM step; with z, η = 1."""
    a, b, x, eps = ALPHA_BAR[t], ALPHA_BAR[n], x.double(), eps.double()
    variance = (1 - a / b) * (1 - b) / (1 - a) if z is not None else torch.zeros(())
    clean = b.sqrt() * (x - (1 - a).sqrt() * eps) / a.sqrt() + (1 - b - variance).sqrt() * eps
    return (clean if z is None else clean + variance.sqrt() * z).float()


def _text(facts: dict) -> dict[str, str]:
    return {name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value) for name, value in facts.items()}


def _save(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, header)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="Record vectors of small random networks, computed without core/.")
    parser.add_argument("folder", type=Path, help="where to write them; made where there is none")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    record_ddpm(folder, DDPMConfig(32, (1, 2), 1, (8,), 16))
    record_asyrp(folder, DDPMConfig(32, (1, 2), 1, (8,), 16))
    record_egsde(folder)
    record_guided(folder, {"p2": GuidedConfig(32, (1, 2), 1, (2,), 32, 16), "large": GuidedConfig(32, (1, 1, 2), 2, (2, 4), 16, 16)})


if __name__ == "__main__":
    main()

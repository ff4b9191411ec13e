"""Vectors of a DDPM-type UNet under DiffusionCLIP's process: ε, inversion, generation, ratio, hybrid, η.

Entries are recognised by their names, which carry the numbers: `inverted_40_t601` is 40 steps to return step 601.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch
from diffusers import UNet2DModel
from torch import Tensor

from core.models.base import Base
from core.models.mapping import DDPMConfig, ddpm_to_diffusers
from core.models.unet_folder import load_weights
from core.parity.vectors import WALK, Entry, Vectors
from core.process.ddim import ddim_step
from core.process.mixing import Hybrid, mix_eps
from core.process.sampling import batch_t, generate, invert, last
from core.process.timesteps import paper_timesteps
from core.types import EpsModel

NETWORKS = ("base", "tuned", "second")
INVERTED = re.compile(r"inverted_(?P<steps>\d+)_t(?P<t0>\d+)")
GENERATED = re.compile(r"(?P<what>generated_tuned|reconstructed)_(?P<steps>\d+)")
EPS = re.compile(r"eps_t(?P<t>\d+)")
STEP = re.compile(r"step_(?P<what>eta|ratio_|hybrid_)(?P<numbers>[\d._]+)_t(?P<t>\d+)_n(?P<n>-?\d+)")


def compare(vectors: Vectors) -> Iterator[Entry]:
    """One entry for each recorded result. A walk down begins at the recorded latent of the inversion."""
    config = ddpm_config(vectors.header)
    bases = {name: ddpm_base(vectors.under(f"{name}/"), config) for name in NETWORKS if vectors.under(f"{name}/")}
    for name, expected in sorted(vectors.tensors.items()):
        if match := EPS.fullmatch(name):
            yield Entry(name, expected, bases["base"].eps(vectors.tensors["x0"], batch_t(int(match["t"]), vectors.tensors["x0"])))
        elif match := INVERTED.fullmatch(name):
            grid = paper_timesteps(int(match["steps"]), int(match["t0"]))
            yield Entry(name, expected, last(invert(bases["base"].eps, vectors.tensors["x0"], grid, bases["base"].schedule)), WALK)
        elif match := GENERATED.fullmatch(name):
            base = bases["tuned" if match["what"] == "generated_tuned" else "base"]
            yield Entry(name, expected, _generated(base, vectors, int(match["steps"])), WALK)
        elif match := STEP.fullmatch(name):
            yield Entry(name, expected, _stepped(bases, vectors, match))


def ddpm_config(header: dict[str, str]) -> DDPMConfig:
    """The architecture as the header states it: numbers, lists separated by commas."""

    def numbers(name: str) -> tuple[int, ...]:
        return tuple(int(number) for number in header[name].split(",") if number)

    return DDPMConfig(
        ch=int(header["ch"]),
        ch_mult=numbers("ch_mult"),
        num_res_blocks=int(header["num_res_blocks"]),
        attn_resolutions=numbers("attn_resolutions"),
        image_size=int(header["image_size"]),
    )


def ddpm_base(state_dict: dict[str, Tensor], config: DDPMConfig) -> Base:
    """A base in float32 on the CPU from a DDPM state dict."""
    arguments, weights = ddpm_to_diffusers(state_dict, config)
    unet = UNet2DModel(**arguments)
    load_weights(unet, weights)
    return Base(unet)


def _generated(base: Base, vectors: Vectors, steps: int) -> Tensor:
    """From the recorded latent, and from the return step that its name states."""
    start = next(match for match in map(INVERTED.fullmatch, sorted(vectors.tensors)) if match)
    return last(generate(base.eps, vectors.tensors[start.group()], paper_timesteps(steps, int(start["t0"])), base.schedule))


def _stepped(bases: dict[str, Base], vectors: Vectors, match: re.Match[str]) -> Tensor:
    """One step from `step_input`: with noise, with a degree of change, or with two edits."""
    numbers = [float(number) for number in match["numbers"].split("_")]
    t, n, x, schedule = int(match["t"]), int(match["n"]), vectors.tensors["step_input"], bases["base"].schedule
    eta, noise = 0.0, None
    model: EpsModel = bases["base"].eps
    if match["what"] == "eta":
        eta, noise = numbers[0], vectors.tensors[f"eta{match['numbers']}_noise"]
    elif match["what"] == "ratio_":
        model = mix_eps([(bases["tuned"].eps, numbers[0]), (bases["base"].eps, 1.0 - numbers[0])])
    else:
        model = Hybrid([bases["tuned"].eps, bases["second"].eps], {0: numbers})
    with torch.no_grad():
        return ddim_step(x, model(x, batch_t(t, x)), t, n, schedule, eta, noise)

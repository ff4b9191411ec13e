"""Vectors of EGSDE's step: the low-pass filter and one guided step down, features being a convolution that the file holds.

The step is the paper's, from t to t − 1 with the posterior's own variance; the source arrives already noised, as `x_t`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from core.methods.egsde_energy import Energy
from core.methods.low_pass import LowPass
from core.parity.vectors import Entry, Vectors
from core.process.ddim import ddim_step
from core.process.schedule import Schedule
from core.types import ShiftlabError

GUIDED = 1e-3  # a gradient through two experts
FACTOR = re.compile(r"N\s*=\s*(\d+)")


def compare(vectors: Vectors) -> Iterator[Entry]:
    """One entry for each recorded result."""
    tensors = vectors.tensors
    low_pass = LowPass(tensors["y"].shape[-1], _factor(vectors.header))
    if "low_pass_y" in tensors:
        yield Entry("low_pass_y", tensors["low_pass_y"], low_pass(tensors["y"]), GUIDED)
    if "out" in tensors:
        yield Entry("out", tensors["out"], _stepped(vectors, low_pass), GUIDED)


def _factor(header: dict[str, str]) -> int:
    """N, out of the header's words on the filter."""
    match = FACTOR.search(header.get("low_pass", ""))
    if match is None:
        raise ShiftlabError("The header does not state the low-pass factor. Record it as low_pass: … N=32.")
    return int(match[1])


def _stepped(vectors: Vectors, low_pass: LowPass) -> Tensor:
    tensors, header, schedule = vectors.tensors, vectors.header, Schedule()

    def features(x: Tensor, t: Tensor) -> Tensor:
        return torch.tanh(F.conv2d(x, tensors["feature_weight"], tensors["feature_bias"], stride=2, padding=1))

    energy = Energy(features, low_pass, float(header["lambda_s"]), float(header["lambda_i"]))
    t = int(header["t"])
    free = ddim_step(tensors["y"], tensors["eps"], t, t - 1, schedule, eta=1.0, noise=tensors["noise"])
    return free + energy.push(tensors["y"], tensors["x_t"], t, t - 1, schedule)

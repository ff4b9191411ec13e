"""Vectors of DomainStudio's losses on a recorded batch: `mse` and `hf_mse` per sample, `pairwise_x4` and `hf_pairwise_x4` of the batch.

The two divergences are differences of nearly equal logarithms. In float32 such a difference is known to a few 2⁻²⁴ and no better, whatever
its size, so their bound has that in absolute terms beside the relative one.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from core.methods.domainstudio_losses import high_frequencies, high_frequency_error, pairwise_loss
from core.methods.sdft_losses import squared_error
from core.parity.vectors import SINGLE, Entry, Vectors
from core.process.ddim import add_noise, predict_x0
from core.process.schedule import Schedule

WEIGHT = 4.0  # of both divergences
ROUNDING = 2.0**-24  # of a logarithm between 1/2 and 1


def compare(vectors: Vectors) -> Iterator[Entry]:
    """One entry for each recorded result, and one for x_t."""
    tensors, schedule = vectors.tensors, Schedule()
    t, x0 = tensors["t"].long(), tensors["x0"]
    adapted, source = (predict_x0(tensors["x_t"], tensors[name], schedule.alpha_bar_at(t)) for name in ("adapted_eps", "source_eps"))
    yield Entry("x_t", tensors["x_t"], add_noise(x0, t, tensors["noise"], schedule))
    yield Entry("mse", tensors["mse"], squared_error(tensors["noise"], tensors["adapted_eps"]))
    yield Entry("hf_mse", tensors["hf_mse"], high_frequency_error(adapted, x0))
    yield _divergence("pairwise_x4", tensors["pairwise_x4"], pairwise_loss(source, adapted))
    hf = pairwise_loss(high_frequencies(source), high_frequencies(adapted))
    yield _divergence("hf_pairwise_x4", tensors["hf_pairwise_x4"], hf)


def _divergence(name: str, expected: Tensor, ours: Tensor) -> Entry:
    bound = SINGLE + WEIGHT * ROUNDING / expected.abs().max().item()
    return Entry(name, expected.reshape(()), WEIGHT * ours, bound)

"""The asymmetric reverse process of Asyrp (Kwon et al., ICLR 2023, sections 3 and 4): shifts of h, and the walk that they are made on.

At t ≥ t_edit, h̃ = h + Σ c_i·Δh_i. Its ε̃ makes the predicted image P_t alone, the untouched ε makes the direction D_t (eq. 4): were both
edited, the two changes would cancel (theorem 1). Below t_boost the walk is stochastic (quality boosting, section 3.4).

What differs from the reference code: encoder and skip connections are computed once for both ε, in one batched pass of the decoder; each
of several edits has its own t_edit; a mean Δh is added to h (the reference's path for it changes nothing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.methods.asyrp_block import DeltaBlock, block_of
from core.models.asyrp_files import delta_block
from core.models.h_space import Halfway, HSpace
from core.process.ddim import ddim_compose, ddim_step, predict_x0
from core.process.noise import ItemNoise
from core.process.sampling import batch_t
from core.process.timesteps import generation_pairs
from core.types import Edit, ShiftlabError

Delta = Callable[[Halfway], Tensor]  # Δh (B, C, h, w), or (C, h, w) where it is the same for all
MEAN, TIMESTEPS = "mean.delta_h", "mean.timesteps"  # beside an edit's block: (S, C, h, w) and (S,)


@dataclass(frozen=True)
class Shift:
    """c·Δh, added to h at t ≥ t_edit. strength: c, which may be negative."""

    delta: Delta
    strength: float
    t_edit: int


def delta_of(edit: Edit, direction: str, space: HSpace) -> Delta:
    """What the edit adds to h. direction: "own" is each picture's f_t(h); "mean" and "global" are the mean Δh that the edit brings.

    Raises ShiftlabError for an edit of another method, one that does not fit the base, and one that brings no mean.
    """
    name = edit.card.name
    if edit.card.method != "asyrp":
        raise ShiftlabError(f"The edit {name!r} is of {edit.card.method} and holds no delta block. Choose an edit of Asyrp.")
    if direction == "own":
        weights = {key: value for key, value in edit.weights.items() if key not in (MEAN, TIMESTEPS)}
        return of_block(block_of(delta_block(weights, f"The block of the edit {name!r}"), space, name))
    if MEAN not in edit.weights:
        raise ShiftlabError(f"The edit {name!r} brings no mean Δh. Choose “own” as the direction.")
    mean = edit.weights[MEAN].to(space.base.device)
    if mean.shape[1] != space.channels:
        raise ShiftlabError(f"The edit {name!r} does not fit the base {space.base.name}. Load the base that it was trained for.")
    return _global(mean) if direction == "global" else _mean(mean, edit.weights[TIMESTEPS])


def of_block(block: DeltaBlock) -> Delta:
    """Each picture's own f_t(h)."""
    return lambda halfway: block(halfway.h, halfway.emb)


def asymmetric_step(
    space: HSpace, shifts: Sequence[Shift], x: Tensor, t: int, n: int, eta: float = 0.0, noise: Tensor | None = None
) -> Tensor:
    """x_t `(B, 3, H, W)` → x_n. One pass of the encoder; one of the decoder too, with two h of each image in it where it is edited."""
    base = space.base
    active = [shift for shift in shifts if t >= shift.t_edit]
    if not active:
        return ddim_step(x, base.eps(x, batch_t(t, x)), t, n, base.schedule, eta, noise)
    halfway = space.encode(x, batch_t(t, x))
    edited, eps = space.decode(halfway, shifted(halfway, active), halfway.h)
    return ddim_compose(predict_x0(x, edited, base.schedule.alpha_bar_at(t)), eps, t, n, base.schedule, eta, noise)


def shifted(halfway: Halfway, shifts: Sequence[Shift]) -> Tensor:
    """h̃ = h + Σ c_i·Δh_i, every Δh_i computed from the untouched h."""
    h = halfway.h
    for shift in shifts:
        h = h + shift.strength * shift.delta(halfway)
    return h


def asymmetric_generate(
    space: HSpace, shifts: Sequence[Shift], x: Tensor, timesteps: Sequence[int], t_boost: int = 0, noise: ItemNoise | None = None
) -> Iterator[tuple[int, Tensor]]:
    """From x at timesteps[-1] down to the image. Yields (k, x after step k) for k = 1 … S. t_boost > 0 needs `noise`."""
    for k, (t, n) in enumerate(generation_pairs(timesteps), start=1):
        eta = 1.0 if t < t_boost else 0.0
        z = noise.normal(x.shape[1:]) if eta and noise is not None else None
        x = asymmetric_step(space, shifts, x, t, n, eta, z)
        yield k, x


class MeanDelta:
    """Collects the mean Δh of a block, timestep by timestep, while it is walked with."""

    def __init__(self, delta: Delta) -> None:
        self._delta = delta
        self._sums: dict[int, Tensor] = {}
        self._counts: dict[int, int] = {}

    def __call__(self, halfway: Halfway) -> Tensor:
        delta_h = self._delta(halfway)
        t = int(halfway.t[0])
        total = delta_h.sum(dim=0).cpu()
        self._sums[t] = self._sums[t] + total if t in self._sums else total
        self._counts[t] = self._counts.get(t, 0) + len(delta_h)
        return delta_h

    def into(self, edit: Edit) -> Edit:
        """The edit with its mean Δh of all timesteps that were visited."""
        timesteps = sorted(self._sums)
        mean = torch.stack([self._sums[t] / self._counts[t] for t in timesteps])
        return replace(edit, weights={**edit.weights, MEAN: mean, TIMESTEPS: torch.tensor(timesteps, dtype=torch.float32)})


def _mean(mean: Tensor, timesteps: Tensor) -> Delta:
    """At each t the mean Δh of the nearest t that there is one of."""
    return lambda halfway: mean[int((timesteps - int(halfway.t[0])).abs().argmin())]


def _global(mean: Tensor) -> Delta:
    over_t = mean.mean(dim=0)
    return lambda _: over_t

"""Several noise predictors as one (Kim et al. 2022, DiffusionCLIP, section 3.4): degree of change, hybrids with a table of thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from core.types import EpsModel, ShiftlabError


def _normalised(ratios: Sequence[float]) -> tuple[float, ...]:
    total = float(sum(ratios))
    if not total > 0.0:
        raise ShiftlabError("The ratios of a mixture add up to nothing. Give at least one edit a ratio above 0.")
    return tuple(r / total for r in ratios)


def mix_eps(parts: Sequence[tuple[EpsModel, float]]) -> EpsModel:
    """ε = Σ ratio_i·ε_i with ratios scaled to sum 1; strength r is `mix_eps([(tuned, r), (base, 1 - r)])`.

    A network whose ratio is 0 is not called. Raises ShiftlabError when the ratios add up to nothing.
    """
    return Hybrid([model for model, _ in parts], {0: [ratio for _, ratio in parts]})


class Hybrid:
    """ε = Σ ratio_i(t)·ε_i. table: {threshold: one ratio a model}; the first threshold ≤ t, from the highest down, applies.

    Works for whole batches, also when its items stand at different t. Raises ShiftlabError for a table that says nothing about t = 0,
    has another number of ratios than there are models, or has ratios that add up to nothing.
    """

    def __init__(self, models: Sequence[EpsModel], table: Mapping[int, Sequence[float]]) -> None:
        if any(len(ratios) != len(models) for ratios in table.values()):
            raise ShiftlabError(f"Every row of a hybrid's table needs {len(models)} ratios, one an edit. Complete the table.")
        if not table or min(table) > 0:
            raise ShiftlabError("A hybrid's table must say what applies down to t = 0. Add a row with threshold 0.")
        self.models = list(models)
        self.table = {threshold: _normalised(table[threshold]) for threshold in sorted(table, reverse=True)}

    def ratios_at(self, t: int) -> tuple[float, ...]:
        """The ratios that apply at timestep t ≥ 0, summing to 1."""
        return next(ratios for threshold, ratios in self.table.items() if threshold <= t)

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """x `(B, 3, H, W)`, t long `(B,)` → ε `(B, 3, H, W)`."""
        rows = {value: self.ratios_at(value) for value in set(t.tolist())}
        weights = torch.tensor([rows[value] for value in t.tolist()], dtype=x.dtype, device=x.device)  # (B, models)
        used = [i for i in range(len(self.models)) if any(ratios[i] != 0.0 for ratios in rows.values())]
        if len(used) == 1:
            return self.models[used[0]](x, t)
        return sum((weights[:, i, None, None, None] * self.models[i](x, t) for i in used), torch.zeros_like(x))

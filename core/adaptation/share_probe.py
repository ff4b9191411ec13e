"""The probe that reads a column best at a noise level, and the shares that its readings of a target amount to.

Sets go by name here: "<domain> <split>", with the domains SOURCE and ADAPTED and the splits train and validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from core.adaptation.probe import PENALTIES, Probe, Reading, fit_probe, read
from core.adaptation.quantify import WAYS, estimates
from core.data.labelled import LabelledSet
from core.types import ShiftlabError

SOURCE, ADAPTED = "source", "adapted"


@dataclass(frozen=True)
class Found:
    """The best probe for a column at a level; readings: how it reads each validation set; loss: of the one that it is chosen by."""

    column: str
    t: int
    penalty: float
    probe: Probe
    readings: Mapping[str, Reading]
    loss: float

    def row(self) -> dict[str, object]:
        read = {f"{name} {key}": value for name, reading in self.readings.items() for key, value in vars(reading).items()}
        return {"column": self.column, "level": self.t, "penalty": self.penalty, **read}


def judge(sets: Mapping[str, LabelledSet]) -> str:
    """The validation pictures that a level is chosen by, and a probe's confusion measured on."""
    return f"{ADAPTED if f'{ADAPTED} validation' in sets else SOURCE} validation"


def best_at(t: int, column: str, classes: tuple[str, ...], features: Mapping[str, Tensor], sets: Mapping[str, LabelledSet]) -> Found:
    """The probe with the penalty that suits the judging pictures best."""
    parts = {name: _labelled(features[name], sets[name], column, classes) for name in features}
    if any(not len(y) for _, y in parts.values()):
        raise ShiftlabError(f"Some of the pictures have no label in {column}. Choose another column, or draw another split.")
    x, y = (torch.cat(both) for both in zip(*(part for name, part in parts.items() if name.endswith("train")), strict=True))
    if len(y.unique()) < 2:
        raise ShiftlabError(f"All training pictures have the same label in {column}. Draw another split, or choose another column.")
    held = {name.split()[0]: part for name, part in parts.items() if name.endswith("validation")}
    judging = judge(sets).split()[0]
    found = []
    for penalty in PENALTIES:
        probe = fit_probe(x, y, classes, penalty)
        readings = {name: read(probe, *part) for name, part in held.items()}
        found.append(Found(column, t, penalty, probe, readings, readings[judging].loss))
    return min(found, key=lambda one: one.loss)


def _labelled(features: Tensor, labelled: LabelledSet, column: str, classes: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """(features, classes) of the pictures that have a label in the column. Raises ShiftlabError for a label that is none of the classes."""
    place = labelled.column(column)
    rows = [k for k, item in enumerate(labelled.items) if item.labels[place]]
    if unknown := sorted({labelled.items[k].labels[place] for k in rows} - set(classes)):
        raise ShiftlabError(f"The adapted set has the label {unknown[0]!r} in {column}, which the source lacks. Choose the source's own.")
    return features[rows], torch.tensor([classes.index(labelled.items[k].labels[place]) for k in rows], dtype=torch.long)


def share_rows(found: Found, target: Tensor, held: Tensor, sets: Mapping[str, LabelledSet]) -> pd.DataFrame:
    """The rows of one column. The prior of the probe is what it learned from: adapted pictures may have other shares than the source."""
    classes = found.probe.classes
    features, truth = _labelled(held, sets[judge(sets)], found.column, classes)
    said = (found.probe.probabilities(part).numpy() for part in (target, features))
    ways = estimates(*said, truth.numpy(), _mixture(found, [part for name, part in sets.items() if name.endswith("train")]))
    table = pd.DataFrame({"column": found.column, "value": classes, "source": _mixture(found, [sets[f"{SOURCE} train"]])})
    for way in WAYS:
        table[way], table[f"{way}_low"], table[f"{way}_high"] = ways[way].mean, ways[way].low, ways[way].high
    return table


def _mixture(found: Found, parts: Sequence[LabelledSet]) -> np.ndarray:
    """The shares `(K,)` of the column's classes in all these sets together."""
    labels = [item.labels[part.column(found.column)] for part in parts for item in part.items]
    counts = np.array([labels.count(name) for name in found.probe.classes])
    return counts / max(1, counts.sum())

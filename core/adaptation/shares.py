"""Attribute shares of a target of which nothing is known but pictures.

A probe for each attribute learns from the labelled source pictures, and from their adapted twins where these are there already. The noise
level is the one, of a grid, at which it reads validation pictures best: the adapted ones where there are any. Then it reads the target's
pictures, and `quantify.py` makes shares of that. Twins are worth having, even a few: a probe that learned from the source alone can
be perfect there and at chance in the target, and no interval says so (see benchmarks/shift.md).

A folder gets pixels/ and features/, which are made once, levels.csv (how well every level reads) and, last, shares.csv.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from torch import Tensor

from core.adaptation.adapt import digest_of_set
from core.adaptation.features import set_features
from core.adaptation.pixels import mapped
from core.adaptation.quantify import WAYS
from core.adaptation.share_probe import ADAPTED, SOURCE, Found, best_at, judge, share_rows
from core.data.labelled import LabelledSet
from core.data.text_files import write_text
from core.methods.fields import setting
from core.methods.walks import retold, stop_if_asked, stoppable
from core.types import Context, Settings, ShiftlabError, StepEvent

LEVELS, SHARES = "levels.csv", "shares.csv"
TARGET = "target"
SPLITS = ("train", "validation")  # of source and adapted pictures


class ShareSettings(Settings):
    """At which noise levels the base looks at how many pictures."""

    method: ClassVar[str] = "shares"

    levels: int = setting(7, "Levels", "Noise levels that are tried, evenly spaced from 0 to the highest.", ge=1, le=50, step=1)
    highest: int = setting(300, "Highest level", "More noise than this hides attributes as well.", unit="t", ge=0, le=999, step=10)
    draws: int = setting(1, "Draws", "Of noise for a picture; what the base sees is averaged.", ge=1, le=64, step=1, more=True)
    pictures: int = setting(1000, "Pictures", "At most so many of a set's split are looked at.", ge=8, le=100_000, step=1)
    seed: int = setting(0, "Seed", "Of the draw, where there are more.", ge=0, step=1, more=True)

    def grid(self) -> list[int]:
        """The timesteps, each once."""
        return sorted({round(float(t)) for t in np.linspace(0, self.highest, self.levels)})


@dataclass(frozen=True)
class Survey:
    """What is asked: the shares of the values of some label columns of the source in the target, whose own labels are not looked at."""

    source: LabelledSet
    target: LabelledSet
    columns: tuple[str, ...]
    adapted: LabelledSet | None = None


def survey(question: Survey, settings: ShareSettings, folder: Path, context: Context) -> Iterator[StepEvent]:
    """Yields "read" and "features" events, the latter counted through all levels and with the number "level", and writes the two tables.

    Raises ShiftlabError for a column that is not there or has one class only, and where there is nothing to learn from, to choose by or
    to count.
    """
    if not question.columns:
        raise ShiftlabError("No attribute is chosen, so there is nothing to count. Name a label column at least.")
    classes = {column: _classes(question.source, column) for column in question.columns}
    seen = Seen(looked_at(question, settings), settings.draws, folder, context)
    yield from stoppable(seen.read(), context)
    found: list[Found] = []
    done, whole = 0, len(question.columns) * len(seen.sets[TARGET])
    whole += len(settings.grid()) * sum(len(part) for name, part in seen.sets.items() if name != TARGET)
    for t in settings.grid():
        features = {}
        for name in seen.sets:
            if name != TARGET:
                features[name] = yield from retold(seen.features(name, t), partial(_in_whole, before=done, whole=whole))
                done += len(seen.sets[name])
        for column in question.columns:
            stop_if_asked(context)
            found.append(best_at(t, column, classes[column], features, seen.sets))
    best = {column: min((one for one in found if one.column == column), key=lambda one: one.loss) for column in question.columns}
    tables = []
    for one in best.values():
        target = yield from retold(seen.features(TARGET, one.t), partial(_in_whole, before=done, whole=whole))
        held = yield from seen.features(judge(seen.sets), one.t)
        done += len(target)
        tables.append(share_rows(one, target, held, seen.sets))
    levels = pd.DataFrame([{**one.row(), "chosen": one is best[one.column]} for one in found])
    write_text(folder / LEVELS, levels.to_csv(index=False))
    write_text(folder / SHARES, pd.concat(tables).to_csv(index=False))


def read_shares(folder: Path) -> pd.DataFrame:
    """A row a value: column, value, source (its share there), and for each of WAYS the share as <way>, <way>_low and <way>_high.

    Raises ShiftlabError where there is no such table, or not a whole one.
    """
    return _read(folder / SHARES, ("column", "value", SOURCE, *WAYS))


def read_levels(folder: Path) -> pd.DataFrame:
    """A row a column and level: penalty; accuracy, balanced and loss on "source" and "adapted" validation pictures; chosen.

    Raises ShiftlabError as `read_shares`.
    """
    return _read(folder / LEVELS, ("column", "level", "chosen"))


def shares_of(table: pd.DataFrame, way: str = "em") -> dict[str, dict[str, float]]:
    """One way's shares out of `read_shares`, as `rebalanced` takes them. way: plain, adjusted, em or source."""
    return {column: dict(zip(rows["value"], map(float, rows[way]), strict=True)) for column, rows in table.groupby("column", sort=False)}


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, converters={"column": str, "value": str})
    except (OSError, ValueError) as error:
        raise ShiftlabError(f"There are no shares in {path.parent}. Estimate them, or go on with the run that has not ended.") from error
    if not len(table) or not set(columns) <= set(table):
        raise ShiftlabError(f"{path} is not the table that was written. Estimate the shares again.")
    return table


def _in_whole(event: StepEvent, before: int, whole: int) -> StepEvent:
    """An event whose pictures come after `before` others, of `whole` in all."""
    return replace(event, step=before + event.step, total=whole)


@dataclass(frozen=True)
class Seen:
    """The pictures that are looked at, by "<set> <split>" and "target", and what the base sees in them, kept in the folder."""

    sets: Mapping[str, LabelledSet]
    draws: int
    folder: Path
    context: Context

    def read(self) -> Generator[StepEvent, None, None]:
        """Brings all pictures into pixels/."""
        for name in self.sets:
            yield from self._pixels(name)

    def features(self, name: str, t: int) -> Generator[StepEvent, None, Tensor]:
        """`(n, D)`, of the pictures of one set."""
        pixels = yield from self._pixels(name)
        labelled = self.sets[name]
        path = self.folder / "features" / f"{self.context.base.fingerprint}-{digest_of_set(labelled)}-{t}-{self.draws}.npy"
        return (yield from set_features(pixels, [item.digest for item in labelled.items], t, self.draws, self.context, path))

    def _pixels(self, name: str) -> Generator[StepEvent, None, np.ndarray]:
        labelled, size = self.sets[name], self.context.base.image_size
        return (yield from mapped(labelled, size, self.folder / "pixels" / f"{digest_of_set(labelled)}-{size}.npy"))


def looked_at(question: Survey, settings: ShareSettings) -> dict[str, LabelledSet]:
    """At most `pictures` of every part, drawn by the seed. Raises ShiftlabError where one that is needed is empty."""
    domains = {SOURCE: question.source, **({ADAPTED: question.adapted} if question.adapted is not None else {})}
    sets = {f"{name} {split}": replace(domain, items=tuple(domain.split(split))) for name, domain in domains.items() for split in SPLITS}
    for name, part in sets.items():
        if not len(part):
            raise ShiftlabError(f"There are no {name} pictures, and a probe needs some. Draw a split with train and validation.")
    if not len(question.target):
        raise ShiftlabError("The target has no pictures, so there is nothing to count. Choose another one.")
    return {name: _some(part, settings) for name, part in {**sets, TARGET: question.target}.items()}


def _some(labelled: LabelledSet, settings: ShareSettings) -> LabelledSet:
    if len(labelled) <= settings.pictures:
        return labelled
    places = np.random.default_rng(settings.seed).permutation(len(labelled))[: settings.pictures]
    return replace(labelled, items=tuple(labelled.items[place] for place in sorted(places)))


def _classes(labelled: LabelledSet, column: str) -> tuple[str, ...]:
    classes = tuple(labelled.classes(column))
    if len(classes) < 2:
        raise ShiftlabError(f"All pictures have the same label in {column}. Choose another column.")
    return classes

"""Source and adapted pictures side by side, the ones to be looked at first: the worst identity, or the most suspicious."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from core.adaptation.adapt import MANIFEST, adapted_set
from core.data.labelled import LabelledImage, LabelledSet
from core.types import ShiftlabError


@dataclass(frozen=True)
class Pair:
    """A picture before and after, with its labels and scores."""

    name: str  # of the adapted picture
    before: Image.Image
    after: Image.Image
    labels: dict[str, str]
    scores: dict[str, float]


def manifest(out: Path) -> pd.DataFrame:
    """A row a picture, by its name: source, labels ("label smiling"), split, digests, seed, scores."""
    labels = [f"label {column}" for column in adapted_set(out).columns]
    return pd.read_csv(out / MANIFEST, converters=dict.fromkeys(["name", "source", "split", *labels], str)).set_index("name")


def in_order(table: pd.DataFrame, by: str = "identity") -> list[str]:
    """Names of a manifest's pictures, the lowest of a score first; in the set's order where the score was not measured."""
    return list((table.sort_values(by, kind="stable") if by in table else table).index)


def pairs(labelled: LabelledSet, out: Path, names: list[str]) -> Iterator[Pair]:
    """The pairs of these names, in this order, opened one by one."""
    table = manifest(out)
    after = adapted_set(out)
    adapted = {item.name: item for item in after.items}
    source = {item.name: item for item in labelled.items}
    for name in names:
        if name not in adapted:
            raise ShiftlabError(f"There is no picture {name} in the adapted set. Choose another.")
        yield _pair(name, table.loc[name], labelled, source, after, adapted[name])


def _pair(
    name: str, row: pd.Series, labelled: LabelledSet, source: dict[str, LabelledImage], after: LabelledSet, item: LabelledImage
) -> Pair:
    labels = dict(zip(after.columns, item.labels, strict=True))
    scores = {key: float(value) for key, value in row.items() if isinstance(value, float)}
    return Pair(name, labelled.picture(source[row["source"]]), after.picture(item), labels, scores)

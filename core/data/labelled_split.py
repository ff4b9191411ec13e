"""Train, validation and test: as a set gives them, or drawn by a seed with every class in each in its own proportion."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np

from core.data.labelled import LabelledImage, LabelledSet
from core.types import ShiftlabError


def has_split(labelled: LabelledSet) -> bool:
    """Whether the set itself says what is for training and what for testing, for every picture."""
    given = {item.split for item in labelled.items}
    return "" not in given and {"train", "test"} <= given


def drawn_split(labelled: LabelledSet, column: str, validation: float = 0.1, test: float = 0.2, seed: int = 0) -> LabelledSet:
    """The set with a split for every picture that has none; those that have one keep it.

    Stratified by the values of `column`: of each class these shares, rounded to the nearest, are drawn by `seed`. The draw goes by the
    pictures' digests, so it depends neither on their order nor on their names.
    Raises ShiftlabError for shares that leave nothing to train on.
    """
    if validation < 0 or test < 0 or validation + test >= 1:
        raise ShiftlabError("The shares of validation and test leave nothing to train on. Choose smaller ones.")
    place = labelled.column(column)
    groups: dict[str, list[LabelledImage]] = defaultdict(list)
    for item in labelled.items:
        if not item.split:
            groups[item.labels[place]].append(item)
    drawn: dict[str, str] = {}
    for order, (_, members) in enumerate(sorted(groups.items())):
        members.sort(key=lambda item: item.digest)
        shuffled = np.random.default_rng([seed, order]).permutation(len(members))
        for_test, for_validation = round(test * len(members)), round(validation * len(members))
        for rank, member in enumerate(shuffled):
            drawn[members[member].name] = "test" if rank < for_test else "validation" if rank < for_test + for_validation else "train"
    return replace(labelled, items=tuple(item._replace(split=drawn.get(item.name, item.split)) for item in labelled.items))


def with_split(labelled: LabelledSet, column: str, validation: float = 0.1, test: float = 0.2, seed: int = 0) -> LabelledSet:
    """The given split where there is one, else a drawn one. Where only a test set is given, validation is drawn from the rest."""
    if has_split(labelled):
        return labelled
    given = {item.split for item in labelled.items}
    if given == {"train"} or given == {"test"}:  # one folder named so, and nothing beside it: no split at all
        labelled = replace(labelled, items=tuple(item._replace(split="") for item in labelled.items))
    return drawn_split(labelled, column, validation, 0.0 if "test" in given and len(given) > 1 else test, seed)

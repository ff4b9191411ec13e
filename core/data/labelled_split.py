"""Train, validation and test: as a set gives them; what it does not give is drawn by a seed, every class in its own proportion."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np

from core.data.labelled import LabelledImage, LabelledSet
from core.types import ShiftlabError

DRAWN = ("validation", "test")  # what is drawn where a set does not give it; the rest is for training


def given_parts(labelled: LabelledSet) -> tuple[str, ...]:
    """Which of validation and test the set gives itself. One folder named so, and nothing beside it, is no split at all."""
    return _parts({item.split for item in labelled.items})


def has_split(labelled: LabelledSet) -> bool:
    """Whether nothing is left to draw: the set itself says for every picture what it is for, and has both validation and test."""
    given = {item.split for item in labelled.items}
    return "" not in given and _parts(given) == DRAWN


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
    """The set with all three parts: those of validation and test that it gives stay, a missing one is drawn as by `drawn_split`.

    It is drawn from the pictures that have no split; where all have one, from those for training.
    Raises ShiftlabError for shares that leave nothing to train on.
    """
    if has_split(labelled):
        return labelled
    kept = given_parts(labelled)
    stays = {*kept, "train"} if labelled.split("") else set(kept)
    free = replace(labelled, items=tuple(item if item.split in stays else item._replace(split="") for item in labelled.items))
    return drawn_split(free, column, 0.0 if "validation" in kept else validation, 0.0 if "test" in kept else test, seed)


def _parts(given: set[str]) -> tuple[str, ...]:
    return tuple(part for part in DRAWN if part in given) if len(given) > 1 else ()

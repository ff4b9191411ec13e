"""The sets of `shift_quality.py`: people whose label and attribute are mixed in another way in the source than in the target."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from core.adaptation.adapt import adapted_set
from core.data.labelled import LabelledSet, load_set
from core.pretrain.adaptation_quality import Sets, adapted, drawn_set
from core.pretrain.edits import RECIPES
from core.types import Context
from core.worlds import portraits as world

POOL_SEED, TARGET_SEED = 970_001, 980_001  # people whom no recipe draws
TRAIN = 0.75  # of the pool; the rest is for validation
LABELS = ("no", "yes")
EDIT, RENDERER = "edit", "renderer"


@dataclass(frozen=True)
class Shift:
    """Shares of the attribute: in the source among those without and with the label, and in the target."""

    without: float
    with_label: float
    target: float


SHIFTS = {"mixture": Shift(0.3, 0.3, 0.8), "confounded": Shift(0.1, 0.9, 0.5)}


def crowd(count: int, seed: int, label: str, attribute: str, share: float) -> world.Portraits:
    """People of whom half have the label and, of either half, this share the attribute; everything else is as it comes."""
    people = world.sample(count, seed)
    attributes, place = people.attributes.clone(), np.arange(count)
    attributes[:, world.ATTRIBUTES.index(label)] = torch.tensor(place % 2 == 1)
    attributes[:, world.ATTRIBUTES.index(attribute)] = torch.tensor(np.floor((place // 2 + 1) * share) > np.floor((place // 2) * share))
    return replace(people, attributes=attributes)


def mixed(labelled: LabelledSet, label: str, attribute: str, shift: Shift) -> list[int]:
    """Places of the most pictures, of every split and class, that have the source's mixture; the same number of either class."""
    columns = labelled.column(label), labelled.column(attribute)
    groups: dict[tuple[str, str, str], list[int]] = {}
    for place, item in enumerate(labelled.items):
        groups.setdefault((item.split, *(item.labels[column] for column in columns)), []).append(place)
    places: list[int] = []
    for split in sorted({key[0] for key in groups}):
        shares = {"no": shift.without, "yes": shift.with_label}
        size = int(min(len(groups[split, name, value]) / part for name, share in shares.items()
                       for value, part in (("yes", share), ("no", 1 - share))))  # fmt: skip
        for name, share in shares.items():
            having = round(size * share)
            places += groups[split, name, "yes"][:having] + groups[split, name, "no"][: size - having]
    return sorted(places)


@dataclass(frozen=True)
class Pool:
    """Photographs and the same people in the target domain, picture by picture, with a train and a validation split."""

    photos: LabelledSet
    carried: LabelledSet

    def part(self, places: list[int]) -> Pool:
        return Pool(*(replace(of, items=tuple(of.items[place] for place in places)) for of in (self.photos, self.carried)))


def pools(options: argparse.Namespace, context: Context) -> dict[str, Pool]:
    """By who carried the photographs across: the shipped edit, and the renderer. Which of the two columns is the label is all the same."""
    pair = sorted((options.label, options.attribute), key=world.ATTRIBUTES.index)
    size, domain = context.base.image_size, RECIPES[options.edit].domain
    found = {}
    for name in options.carried:
        count = options.count if name == EDIT else options.drawn
        people = crowd(count, POOL_SEED, *pair, 0.5)
        train = 4 * round(TRAIN * count / 4)  # whole groups of label and attribute
        work = options.work / "-".join(pair) / f"{count}"
        index = drawn_set(people, "photo", size, train, work / "photos")
        photos = load_set(index)
        if name == EDIT:
            there = argparse.Namespace(**{**vars(options), "work": work / options.edit})
            carried = adapted_set(adapted(Sets(photos, photos, index, index), options.edit, there, context)[0])
        else:
            carried = load_set(drawn_set(people, domain, size, train, work / domain))
        found[name] = Pool(_held(photos), _held(carried))
    return found


def _held(labelled: LabelledSet) -> LabelledSet:
    """What was not drawn for training is for validation."""
    items = (item._replace(split="train" if item.split == "train" else "validation") for item in labelled.items)
    return replace(labelled, items=tuple(items))


def target_of(shift: str, options: argparse.Namespace, size: int) -> LabelledSet:
    """Pictures in the target domain of other people: "train" is what the shares are estimated on, unlabelled, "test" what is told."""
    people = crowd(options.unlabelled + options.test, TARGET_SEED, options.label, options.attribute, SHIFTS[shift].target)
    domain = RECIPES[options.edit].domain
    folder = asked_folder(options) / f"target-{shift}-{domain}-{options.unlabelled}-{options.test}"
    return load_set(drawn_set(people, domain, size, options.unlabelled, folder))


def asked_folder(options: argparse.Namespace) -> Path:
    """Where everything lies that depends on which of the two is the label."""
    return options.work / f"{options.label}-by-{options.attribute}"

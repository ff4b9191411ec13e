"""A labelled set brought to given attribute shares, so that what is learned from it meets the target's mixture and not the source's.

Only the training split is touched. Every class of the label keeps its share of it (unless the label has given shares itself), and within
each class the attributes get theirs: so an attribute that went with the label in the source no longer does. One attribute is a division;
for several, the groups are raked to all margins in turn (Deming and Stephan, "On a least squares adjustment of a sampled frequency table
when the expected marginal totals are known", 1940).

*subsample* takes no picture twice, and as many as the scarcest group allows. *resample* keeps the size and takes the pictures of scarce
groups several times. Groups are the combinations of label and attributes; within one, everybody is taken equally often but for the rest
of the division, which is drawn by a seed.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from core.data.labelled import LabelledImage, LabelledSet
from core.data.text_files import write_text
from core.types import ShiftlabError

Shares = Mapping[str, Mapping[str, float]]  # column → value → share
How = Literal["subsample", "resample"]
ROUNDS, CLOSE = 200, 1e-9  # of raking; shares that are this close are met
Group = tuple[str, ...]  # values of the label and of the attributes


def rebalanced(labelled: LabelledSet, shares: Shares, label: str, how: How = "resample", seed: int = 0) -> LabelledSet:
    """The set with a training split that has these shares; a picture that was taken k times stands in it k times. Its report says so.

    shares: column → value → share, of one or more columns; pictures that lack one of these labels are left out of the training split.
    Raises ShiftlabError for no shares, for a share of something that no training picture of a class has, and for shares that leave a
    class of the label without a picture.
    """
    if not shares:
        raise ShiftlabError("There are no shares to rebalance to. Estimate those of an attribute, or give some.")
    wanted = {column: _normed(column, values) for column, values in shares.items()}
    of_label = wanted.pop(label, None)
    places = [labelled.column(name) for name in (label, *wanted)]
    groups: dict[Group, list[int]] = {}
    for place, item in enumerate(labelled.items):
        if item.split == "train" and all(item.labels[column] for column in places):
            groups.setdefault(tuple(item.labels[column] for column in places), []).append(place)
    if not groups:
        raise ShiftlabError(f"No training picture has labels in {', '.join((label, *wanted))}. Draw a split, or choose other columns.")
    sizes = {group: len(members) for group, members in groups.items()}
    counts = _counts(sizes, _raked(sizes, wanted, of_label or _of_classes(sizes)), how)
    if empty := sorted({group[0] for group in sizes} - {group[0] for group, count in counts.items() if count}):
        lost = f"{label} = {empty[0]}, and what has no picture cannot be learned"
        raise ShiftlabError(f"These shares leave no training picture with {lost}. Choose other ones, or resample.")
    times = _drawn(groups, counts, seed)
    items = [item for place, item in enumerate(labelled.items) for _ in range(times[place] if item.split == "train" else 1)]
    whole = sum(item.split == "train" for item in labelled.items)
    note = f"Rebalanced ({how}, seed {seed}) to {_in_words(shares)}; {_taken(times)} of {whole:,} training pictures."
    return replace(labelled, items=tuple(items), report=replace(labelled.report, notes=(*labelled.report.notes, note)))


def manifest_of(before: LabelledSet, after: LabelledSet) -> str:
    """CSV: a row a training picture of the set before, with its labels and how often it was taken."""
    taken = Counter(item.name for item in after.split("train"))
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["name", *before.columns, "digest", "taken"])
    table.writerows([item.name, *item.labels, item.digest, taken[item.name]] for item in before.split("train"))
    return text.getvalue()


def write_rebalanced(labelled: LabelledSet, shares: Shares, label: str, index: Path, how: How = "resample", seed: int = 0) -> LabelledSet:
    """`rebalanced`, saved as an index at `index` (.jsonl) with the manifest beside it (.csv). Returns the set."""
    found = rebalanced(labelled, shares, label, how, seed)
    write_text(index.with_suffix(".csv"), manifest_of(labelled, found))
    found.save(index)
    return found


def shares_in(items: Sequence[LabelledImage], place: int) -> dict[str, float]:
    """The shares of the values in a column, by its place, among the pictures that have a label there."""
    counts = Counter(item.labels[place] for item in items if item.labels[place])
    return {value: count / counts.total() for value, count in sorted(counts.items())}


def _in_words(shares: Shares) -> str:
    of_columns = {column: ", ".join(f"{value} {100 * share:.1f} %" for value, share in values.items()) for column, values in shares.items()}
    return "; ".join(f"{column}: {values}" for column, values in of_columns.items())


def _taken(times: Counter[int]) -> str:
    """How many different pictures, and how many in all where some are taken several times."""
    different = sum(map(bool, times.values()))
    return f"{times.total():,} made of {different:,}" if times.total() > different else f"{different:,}"


def _normed(column: str, values: Mapping[str, float]) -> dict[str, float]:
    total = sum(values.values())
    if not values or min(values.values()) < 0 or not total > 0:
        raise ShiftlabError(f"The shares of {column} must be 0 or more, and not all of them 0. Give others.")
    return {value: share / total for value, share in values.items()}


def _of_classes(sizes: Mapping[Group, int]) -> dict[str, float]:
    """The shares of the label's classes as they are."""
    counts: Counter[str] = Counter()
    for group, size in sizes.items():
        counts[group[0]] += size
    return {name: count / counts.total() for name, count in counts.items()}


def _raked(sizes: Mapping[Group, int], wanted: Shares, of_classes: Mapping[str, float]) -> dict[Group, float]:
    """The share of each group, such that every class has its own and, within it, the wanted shares of every column."""
    now = _of_classes(sizes)
    if missing := [name for name, share in of_classes.items() if share > 0 and name not in now]:
        raise ShiftlabError(f"No training picture is of the class {missing[0]}, which is to have a share. Add some.")
    total = sum(sizes.values())
    shares = {group: size / total * of_classes.get(group[0], 0.0) / now[group[0]] for group, size in sizes.items()}
    for _ in range(ROUNDS):
        worst = 0.0
        for place, (column, values) in enumerate(wanted.items(), start=1):
            for name in now:
                worst = max(worst, _rake_one(shares, place, column, values, name, of_classes.get(name, 0.0)))
        if worst < CLOSE:
            return shares
    raise ShiftlabError(f"No mixture of these pictures has all the shares of {', '.join(wanted)} at once. Give up one of the columns.")


def _rake_one(shares: dict[Group, float], place: int, column: str, values: Mapping[str, float], name: str, of_class: float) -> float:
    """Scales one class's groups to one column's shares, in place; returns by how much the worst of them was off."""
    worst = 0.0
    for value in dict.fromkeys([*values, *(group[place] for group in shares if group[0] == name)]):
        members = [group for group in shares if group[0] == name and group[place] == value]
        now, goal = sum(shares[group] for group in members), of_class * values.get(value, 0.0)
        if goal > 0 and not now > 0:
            raise ShiftlabError(f"No training picture of the class {name} has {column} = {value}, which is to have a share. Add some.")
        worst = max(worst, abs(now - goal))
        for group in members:
            shares[group] *= goal / now if now > 0 else 0.0
    return worst


def _counts(sizes: Mapping[Group, int], shares: Mapping[Group, float], how: How) -> dict[Group, int]:
    """How many of each group: rounded by largest remainders, so that the whole has the size it should have."""
    if how == "resample":
        size = sum(sizes.values())
    else:
        size = int(min(sizes[group] / share for group, share in shares.items() if share > 0) + CLOSE)
    exact = {group: share * size for group, share in shares.items()}
    counts = {group: int(value + CLOSE) for group, value in exact.items()}
    rest = size - sum(counts.values())
    for group in sorted(exact, key=lambda group: (counts[group] - exact[group], group))[:rest]:
        counts[group] += 1
    if how == "subsample":
        counts = {group: min(count, sizes[group]) for group, count in counts.items()}
    return counts


def _drawn(groups: Mapping[Group, list[int]], counts: Mapping[Group, int], seed: int) -> Counter[int]:
    """How often each picture is taken, by its place."""
    times: Counter[int] = Counter()
    for order, (group, members) in enumerate(sorted(groups.items())):
        whole, rest = divmod(counts[group], len(members))
        shuffled = np.random.default_rng([seed, order]).permutation(len(members))
        for rank, member in enumerate(shuffled):
            times[members[member]] = whole + int(rank < rest)
    return times

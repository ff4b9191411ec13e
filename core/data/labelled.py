"""Labelled sets: pictures with one or several labels and a split, read from a ZIP or a folder, in whatever layout `labelled_layouts` knows.

A set in memory is only its index (name, labels, split and digest of each picture); a picture is decoded when it is asked for, so 100,000
of them take some 50 MB. What could not be used is in the report, by name, and never stops the rest.

>>> found = read_set(Path("faces.zip"))
>>> found = drawn_split(found, "smiling", seed=0)
>>> for item in found.split("train"): picture = found.picture(item)
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from core.data.images import decode_image
from core.data.labelled_files import Files, LeftOut, open_files
from core.data.labelled_layouts import Labelling, labelling, unlabelled
from core.types import ShiftlabError

INDEX_VERSION = 1
SPLIT_NAMES = ("train", "validation", "test")
OnImage = Callable[[int, int], None]


class LabelledImage(NamedTuple):
    """name: path inside the set; labels: one a column, "" where it has none; split: "train", "validation", "test" or ""."""

    name: str
    labels: tuple[str, ...]
    split: str
    digest: str  # 32 hex characters of the SHA-256 of the file's bytes


@dataclass(frozen=True)
class Report:
    """What was understood of a set: its layout, files that were left out with the reason, and notes on tables and encodings."""

    layout: str
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    def reasons(self) -> list[tuple[str, int]]:
        """(reason, how many), the most frequent first; numbers within a reason do not make another one of it."""
        return Counter(item.why.split(" (")[0].split(" of ")[0] for item in self.left_out).most_common()


@dataclass(frozen=True)
class LabelledSet:
    """An index of pictures in `source`; see the module's words."""

    source: Path
    columns: tuple[str, ...]
    items: tuple[LabelledImage, ...]
    report: Report = field(default_factory=lambda: Report("folders"))

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def _files(self) -> Files:
        return open_files(self.source)

    def picture(self, item: LabelledImage) -> Image.Image:
        """The picture, decoded now. Raises ShiftlabError where it is no longer the one that was read."""
        if item.name not in self._known:
            raise ShiftlabError(f"{item.name} is no longer in the set {self.source}. Read the set again.")
        data = self._files.read(item.name)
        if digest_of(data) != item.digest:
            raise ShiftlabError(f"{item.name} has changed since the set was read. Read the set again.")
        return decode_image(data)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._files.names)

    def column(self, name: str) -> int:
        """The place of a label column. Raises ShiftlabError for one that is not there."""
        if name not in self.columns:
            raise ShiftlabError(f"The set has no label column {name!r}. Choose one of: {', '.join(self.columns)}.")
        return self.columns.index(name)

    def classes(self, column: str) -> list[str]:
        """The values of a label column, numbers in their order; the last of two is the positive one."""
        place = self.column(column)
        return sorted({item.labels[place] for item in self.items} - {""}, key=_in_order)

    def counts(self, column: str) -> dict[tuple[str, str], int]:
        """How many pictures a (split, label) has."""
        place = self.column(column)
        return dict(Counter((item.split, item.labels[place]) for item in self.items))

    def split(self, name: str) -> list[LabelledImage]:
        """The pictures of one split, in order."""
        return [item for item in self.items if item.split == name]

    def labelled(self, column: str) -> LabelledSet:
        """Only the pictures that have a label in this column."""
        place = self.column(column)
        return replace(self, items=tuple(item for item in self.items if item.labels[place]))

    def save(self, path: Path) -> Path:
        """Writes the index as JSON lines, so that a job can go on with this very set after a restart; the file appears whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        head = {"version": INDEX_VERSION, "source": str(Path(self.source).resolve()), "columns": self.columns, "layout": self.report.layout}
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(json.dumps({**head, "left_out": self.report.left_out, "notes": self.report.notes}) + "\n")
            file.writelines(json.dumps(item) + "\n" for item in self.items)
        os.replace(temporary, path)
        return path


def read_set(
    source: Path, columns: Sequence[str] | None = None, on_image: OnImage = lambda done, total: None, labels: bool = True
) -> LabelledSet:
    """Reads the labels, and opens every picture once, so that what is broken is known now and not in the middle of a night.

    columns: those to keep, in this order; None keeps all. on_image is told (pictures opened, pictures in all). labels: False takes all
    pictures, whatever the layout, into a set without columns: what a target is of which nothing is known.
    Raises ShiftlabError where nothing usable is left.
    """
    walk = reading(source, columns, labels)
    while True:
        try:
            on_image(*next(walk))
        except StopIteration as end:
            return end.value


def reading(source: Path, columns: Sequence[str] | None = None, labels: bool = True) -> Generator[tuple[int, int], None, LabelledSet]:
    """`read_set` picture by picture: yields (pictures opened, pictures in all) and returns the set."""
    files = open_files(source)
    found = labelling(files) if labels else unlabelled(files)
    keep = [_place(found, column) for column in columns] if columns is not None else list(range(len(found.columns)))
    items, left_out = yield from _opened(files, found, keep)
    if not items:
        raise ShiftlabError(f"No picture of {Path(source).name} can be used: {left_out[0].name}: {left_out[0].why}. Check the set.")
    report = Report(found.layout, (*files.left_out, *found.left_out, *left_out), tuple(found.notes))
    return LabelledSet(Path(source), tuple(found.columns[place] for place in keep), tuple(items), report)


def label_columns(source: Path) -> list[str]:
    """The label columns of a set, without opening a picture: what a column picker offers."""
    return list(labelling(open_files(source)).columns)


def load_set(path: Path) -> LabelledSet:
    """The set whose index `LabelledSet.save` wrote. Raises ShiftlabError for another file."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            head = json.loads(file.readline())
            items = tuple(LabelledImage(name, tuple(labels), split, digest) for name, labels, split, digest in map(json.loads, file))
            report = Report(head["layout"], tuple(LeftOut(*row) for row in head["left_out"]), tuple(head["notes"]))
            return LabelledSet(Path(head["source"]), tuple(head["columns"]), items, report)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShiftlabError(f"{path} is no index of a labelled set. Read the set again.") from error


def open_set(path: Path, on_image: OnImage = lambda done, total: None, labels: bool = True) -> LabelledSet:
    """A set by its index (a .jsonl file that `save` wrote), or read anew from a ZIP or a folder; labels as in `read_set`."""
    return load_set(path) if Path(path).suffix == ".jsonl" else read_set(path, on_image=on_image, labels=labels)


def digest_of(data: bytes) -> str:
    """What a picture's file is known by."""
    return hashlib.sha256(data).hexdigest()[:32]


def _place(found: Labelling, column: str) -> int:
    if column not in found.columns:
        raise ShiftlabError(f"The set has no label column {column!r}. Choose one of: {', '.join(found.columns)}.")
    return found.columns.index(column)


Opened = tuple[list[LabelledImage], list[LeftOut]]


def _opened(files: Files, found: Labelling, keep: list[int]) -> Generator[tuple[int, int], None, Opened]:
    """The pictures that can be decoded, have a label in a kept column, and are there for the first time."""
    items: list[LabelledImage] = []
    left_out: list[LeftOut] = []
    first: dict[str, LabelledImage] = {}
    for place, (name, (values, split)) in enumerate(found.rows.items(), start=1):
        labels = tuple(values[column] for column in keep)
        try:
            data = files.read(name)
            decode_image(data)
        except ShiftlabError as error:
            left_out.append(LeftOut(name, str(error)))
        else:
            item = LabelledImage(name, labels, split, digest_of(data))
            twin = first.setdefault(item.digest, item)
            why = _why_not(item, twin)
            if why:
                left_out.append(LeftOut(name, why))
            else:
                items.append(item)
        yield place, len(found.rows)
    return items, left_out


def _why_not(item: LabelledImage, twin: LabelledImage) -> str:
    if item.labels and not any(item.labels):
        return "no label in the chosen columns"
    if twin is not item:
        return "a duplicate" + (" with other labels" if twin.labels != item.labels else "") + f" of {twin.name}"
    return ""


def _in_order(value: str) -> tuple[int, float, str]:
    try:
        return 0, float(value), value
    except ValueError:
        return 1, 0.0, value


def png_names(items: Iterable[LabelledImage]) -> list[str]:
    """What the pictures are called once they are PNGs: the suffix changed, or, where two would be the same, added.

    A picture that stands in the set several times (see `core.adaptation.rebalance`) is numbered from its second time on.
    """
    names = [item.name for item in items]
    plain = Counter(Path(name).with_suffix(".png").as_posix() for name in set(names))
    times: Counter[str] = Counter()
    found = []
    for name in names:
        times[name] += 1
        new = Path(name).with_suffix(".png").as_posix()
        again = f"~{times[name]}" if times[name] > 1 else ""
        found.append(f"{new.removesuffix('.png') if plain[new] == 1 else name}{again}.png")
    return found

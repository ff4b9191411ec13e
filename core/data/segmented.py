"""Segmentation sets: images and a mask of each, read from a ZIP or a folder (layout: `segmented_layouts`; classes: `mask_classes`).

As with labelled sets, a set in memory is only its index; image and mask are decoded when they are asked for, and what cannot be used is
in the report, by name, and never stops the rest. An unlabelled set is one whose items have no mask.

>>> found = read_segmented(Path("streets.zip"))
>>> for item in found.split("train"): image, mask = found.picture(item), found.mask(item)
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from core.data.images import decode_image, raw_image
from core.data.labelled import OnImage, Report, digest_of
from core.data.labelled_files import Files, LeftOut, open_files
from core.data.mask_classes import CLASSES_FILE, IGNORE, MaskClasses, cityscapes, classes_from, read_classes
from core.data.segmented_layouts import paired, pictures
from core.types import ShiftlabError

KIND = "segmented"  # in an index's first line
INDEX_VERSION = 1


class SegmentedImage(NamedTuple):
    """name, mask: paths inside the set, mask "" where there is none; split: "train", "validation", "test" or ""; digests of both files."""

    name: str
    mask: str
    split: str
    digest: str
    mask_digest: str


@dataclass(frozen=True)
class SegmentedSet:
    """An index of images in `source`. pixels: by class name, how many of all masks; "" counts those of no class."""

    source: Path
    classes: MaskClasses
    items: tuple[SegmentedImage, ...]
    report: Report = field(default_factory=lambda: Report(KIND))
    pixels: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def _files(self) -> Files:
        return open_files(self.source)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._files.names)

    def picture(self, item: SegmentedImage) -> Image.Image:
        """The image, decoded now. Raises ShiftlabError where it is no longer the one that was read."""
        return decode_image(self._bytes(item.name, item.digest))

    def mask(self, item: SegmentedImage) -> np.ndarray:
        """Its class numbers `(H, W)` uint8, IGNORE where there is none."""
        return self.classes.numbers(raw_image(self._bytes(item.mask, item.mask_digest)))

    def split(self, name: str) -> list[SegmentedImage]:
        """The images of one split, in order."""
        return [item for item in self.items if item.split == name]

    def _bytes(self, name: str, digest: str) -> bytes:
        data = self._files.read(name) if name in self._known else b""
        if digest_of(data) != digest:
            raise ShiftlabError(f"{name} is no longer in the set {self.source}, or has changed. Read the set again.")
        return data

    def save(self, path: Path) -> Path:
        """Writes the index as JSON lines, so that a job can go on with this very set after a restart; the file appears whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        head = {"version": INDEX_VERSION, "kind": KIND, "source": str(Path(self.source).resolve()), "classes": self.classes.facts()}
        told = {"layout": self.report.layout, "left_out": self.report.left_out, "notes": self.report.notes, "pixels": self.pixels}
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(json.dumps({**head, **told}) + "\n")
            file.writelines(json.dumps(item) + "\n" for item in self.items)
        os.replace(temporary, path)
        return path


def read_segmented(source: Path, on_image: OnImage = lambda done, total: None) -> SegmentedSet:
    """Finds the pairs, and opens every image and mask once. on_image is told (pairs opened, pairs in all).

    Raises ShiftlabError where nothing usable is left, or the set's classes.json cannot be understood.
    """
    walk = reading_segmented(source)
    while True:
        try:
            on_image(*next(walk))
        except StopIteration as end:
            return end.value


def reading_segmented(source: Path) -> Generator[tuple[int, int], None, SegmentedSet]:
    """`read_segmented` pair by pair: yields (pairs opened, pairs in all) and returns the set."""
    files = open_files(source)
    found = paired(files.names)
    tables = [name for name in files.names if Path(name).name == CLASSES_FILE]
    classes = read_classes(files.read(tables[0])) if tables else cityscapes(label_ids=found.has_label_ids())
    opened = _Opened(files, classes)
    for place, (name, (mask, split)) in enumerate(found.rows.items(), start=1):
        opened.take(name, mask, split)
        yield place, len(found.rows)
    items, left_out = opened.items, [*files.left_out, *found.left_out, *opened.left_out]
    if not items:
        first = opened.left_out[0]
        raise ShiftlabError(f"No image of {Path(source).name} can be used. {first.name}: {first.why}")
    notes = (f"The classes are those of {tables[0]}." if tables else f"There is no {CLASSES_FILE}: the classes are Cityscapes'.",)
    return SegmentedSet(Path(source), classes, tuple(items), Report(KIND, tuple(left_out), notes), opened.pixels())


def read_unlabelled(source: Path, on_image: OnImage = lambda done, total: None) -> SegmentedSet:
    """The pictures of a folder or ZIP that are no masks, without labels. Raises ShiftlabError where there is none."""
    files = open_files(source)
    opened, names = _Opened(files, cityscapes()), pictures(files.names)
    for place, name in enumerate(names, start=1):
        opened.take(name, "", "")
        on_image(place, len(names))
    if not opened.items:
        raise ShiftlabError(f"There is no picture in {Path(source).name} that can be read. Choose a folder or a ZIP with some.")
    return SegmentedSet(Path(source), opened.classes, tuple(opened.items), Report(KIND, (*files.left_out, *opened.left_out)))


def load_segmented(path: Path) -> SegmentedSet:
    """The set whose index `SegmentedSet.save` wrote. Raises ShiftlabError for another file."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            head = json.loads(file.readline())
            if head["kind"] != KIND:
                raise ValueError(head["kind"])
            items = tuple(SegmentedImage(*map(str, row)) for row in map(json.loads, file))
            report = Report(head["layout"], tuple(LeftOut(*row) for row in head["left_out"]), tuple(head["notes"]))
            return SegmentedSet(Path(head["source"]), classes_from(head["classes"]), items, report, head["pixels"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ShiftlabError(f"{path} is no index of a segmentation set. Read the set again.") from error


def open_segmented(path: Path, on_image: OnImage = lambda done, total: None) -> SegmentedSet:
    """A set by its index (a .jsonl file that `save` wrote), or read anew from a ZIP or a folder."""
    return load_segmented(path) if Path(path).suffix == ".jsonl" else read_segmented(path, on_image)


def held_out(found: SegmentedSet) -> list[SegmentedImage]:
    """What to measure on: the test images, or where there are none (as in Cityscapes, whose test masks are empty) those for validation."""
    return found.split("test") or found.split("validation")


def with_split(found: SegmentedSet, test: float = 0.2, seed: int = 0) -> SegmentedSet:
    """The set as it is where it says what trains and what tests; else a share of it, drawn by `seed` and the files' digests, tests.

    Raises ShiftlabError for a share that leaves nothing to train on, or nothing to test on.
    """
    if found.split("train") and held_out(found):
        return found
    count = round(test * len(found))
    if not 0 < count < len(found):
        raise ShiftlabError(f"Of {len(found)} images {count} would be for testing. Choose another share, or take more images.")
    order = sorted(found.items, key=lambda item: item.digest)
    drawn = {order[k].name for k in np.random.default_rng(seed).permutation(len(order))[:count]}
    return replace(found, items=tuple(item._replace(split="test" if item.name in drawn else "train") for item in found.items))


class _Opened:
    """Pairs that can be decoded, fit each other, know their classes, and are there for the first time."""

    def __init__(self, files: Files, classes: MaskClasses) -> None:
        self.files, self.classes = files, classes
        self.items: list[SegmentedImage] = []
        self.left_out: list[LeftOut] = []
        self._first: dict[str, str] = {}
        self._counts = np.zeros(IGNORE + 1, dtype=np.int64)

    def take(self, name: str, mask: str, split: str) -> None:
        try:
            data = self.files.read(name)
            size = decode_image(data).size
        except ShiftlabError as error:
            self.left_out.append(LeftOut(name, str(error)))
            return
        digest = digest_of(data)
        if digest in self._first:
            self.left_out.append(LeftOut(name, f"a duplicate of {self._first[digest]}"))
            return
        try:
            mask_digest = self._fitting(mask, size) if mask else ""
        except ShiftlabError as error:
            self.left_out.append(LeftOut(mask, str(error)))
            return
        self._first[digest] = name
        self.items.append(SegmentedImage(name, mask, split, digest, mask_digest))

    def pixels(self) -> dict[str, int]:
        return {**{name: int(self._counts[number]) for name, number in self.classes.classes.items()}, "": int(self._counts[IGNORE])}

    def _fitting(self, name: str, size: Sequence[int]) -> str:
        data = self.files.read(name)
        mask = raw_image(data)
        if mask.size != tuple(size):
            raise ShiftlabError(
                f"The mask has another size ({mask.width} × {mask.height}) than its image ({size[0]} × {size[1]}). Make them equal."
            )
        counts = np.bincount(self.classes.numbers(mask).ravel(), minlength=IGNORE + 1)
        if not counts[:IGNORE].any():
            raise ShiftlabError("The mask has no pixel of any class.")
        self._counts += counts
        return digest_of(data)

"""What labels the files of a set have, by its layout: class folders, `metadata.csv`, or CelebA's attribute list. No picture is opened here.

- *folders* (ImageFolder): `[split/]class/….png`; the column is called "class".
- *metadata* (Hugging Face): `[split/]metadata.csv` with `file_name` relative to it, and label columns; a column `split` is the split.
- *celeba*: `list_attr_celeba.txt` or CelebAMask-HQ's `CelebAMask-HQ-attribute-anno.txt` (a count, the attributes' names, then a line
  `name ±1 ±1 …` a picture), with `list_eval_partition.txt` (0, 1, 2) as the split where it is there.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from core.data.labelled_files import Files, LeftOut
from core.types import ShiftlabError

METADATA = "metadata.csv"
ATTRIBUTE_LISTS = ("list_attr_celeba.txt", "CelebAMask-HQ-attribute-anno.txt")
MASKS = "CelebAMask-HQ-mask-anno"  # CelebAMask-HQ's folder of ten masks a picture, which are no pictures
PARTITION = "list_eval_partition.txt"
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
SPLITS = {
    "train": "train", "training": "train", "validation": "validation", "val": "validation", "valid": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
PARTITIONS = {"0": "train", "1": "validation", "2": "test"}
CELEBA_VALUES = {"1": "yes", "-1": "no"}
MAX_CLASSES = 200  # a column with more values is a text or a number, and no label


@dataclass
class Labelling:
    """What a layout says: rows name → (labels in the order of `columns`, split or ""), and what it names that is not there."""

    layout: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[tuple[str, ...], str]]
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def labelling(files: Files) -> Labelling:
    """The labels of a set. Raises ShiftlabError where no layout fits, its table cannot be read, or none of its columns is a label."""
    tables = [name for name in files.names if PurePosixPath(name).name == METADATA]
    lists = [name for name in files.names if PurePosixPath(name).name in ATTRIBUTE_LISTS]
    if tables:
        found = _metadata(files, tables)
    elif lists:
        found = _celeba(files, lists[0])
    else:
        found = _folders(files.names)
    if not found.rows:
        raise ShiftlabError(
            "No labelled picture was found. Use class folders (smiling/1.png, serious/2.png), a metadata.csv with the column "
            "file_name, or CelebA's attribute list."
        )
    if not found.columns:
        raise ShiftlabError(without_labels(found.notes))
    return found


def without_labels(notes: Iterable[str]) -> str:
    """What is said of a set none of whose columns is a label. notes: what was noted of its tables."""
    told = "".join(f" {note.rstrip('.')}." for note in notes)
    return f"The set has no label column.{told} Beside file_name, give {METADATA} a column that says each picture's class."


def unlabelled(files: Files) -> Labelling:
    """All pictures, with no label. Raises ShiftlabError where there is none."""
    found = Labelling("unlabelled", (), {name: ((), "") for name in files.names if is_picture(name)})
    if not found.rows:
        raise ShiftlabError("There is no picture in it. Choose another ZIP or folder.")
    return found


def is_picture(name: str) -> bool:
    """Whether the name is one of a picture; what is inside is found out by opening it."""
    return PurePosixPath(name).suffix.lower() in PICTURES


def _folders(names: Sequence[str]) -> Labelling:
    """The class is the first folder below the root, or below that of a split. Folders that enclose the whole set are passed over."""
    pictures = [name for name in names if is_picture(name)]
    parts = {name: PurePosixPath(name).parts for name in pictures}
    depth = 0
    while pictures and _encloses(parts.values(), depth):
        depth += 1
    found = Labelling("folders", ("class",), {})
    for name, steps in parts.items():
        steps = steps[depth:]
        split = SPLITS.get(steps[0].lower(), "") if len(steps) > 2 else ""
        steps = steps[1:] if split else steps
        if len(steps) < 2:
            found.left_out.append(LeftOut(name, "lies in no class folder"))
        else:
            found.rows[name] = ((steps[0],), split)
    return found


def _encloses(paths: Iterable[tuple[str, ...]], depth: int) -> bool:
    """Whether all paths go through one folder at this depth which is neither a split nor, having no folders below, a class."""
    seen = {path[depth] if len(path) > depth + 2 else None for path in paths}
    only = seen.pop()
    return not seen and only is not None and only.lower() not in SPLITS


def _metadata(files: Files, tables: Sequence[str]) -> Labelling:
    """All tables of the set as one; a table in a split's folder gives its pictures that split."""
    known = set(files.names)
    rows: dict[str, tuple[dict[str, str], str]] = {}
    found = Labelling("metadata", (), {})
    for table in tables:
        folder = PurePosixPath(table).parent
        given = SPLITS.get(folder.name.lower(), "")
        for place, row in enumerate(_csv_rows(files, table, found), start=2):
            name = (folder / row.pop("file_name").strip().replace("\\", "/")).as_posix()
            split = SPLITS.get(row.pop("split", "").strip().lower(), "") or given
            if ".." in PurePosixPath(name).parts or name.startswith("/"):
                found.left_out.append(LeftOut(name, f"line {place} of {table} points out of the set"))
            elif name not in known:
                found.left_out.append(LeftOut(name, f"a label without an image (line {place} of {table})"))
            elif name in rows:
                found.left_out.append(LeftOut(name, f"labelled twice; line {place} of {table} was not used"))
            else:
                rows[name] = ({column: sys.intern(value.strip()) for column, value in row.items()}, split)
    return _with_columns(found, rows, files)


def _csv_rows(files: Files, table: str, found: Labelling) -> Iterator[dict[str, str]]:
    text, note = decoded(files.read(table))
    if note:
        found.notes.append(f"{table}: {note}")
    reader = csv.DictReader(io.StringIO(text, newline=""), restval="", strict=False)
    try:
        names = [name.strip() for name in reader.fieldnames or []]  # reads the first line
        if "file_name" not in names:
            raise ShiftlabError(f"{table} has no column file_name. Its first line must name the columns: file_name, then the labels.")
        reader.fieldnames = names
        for row in reader:
            yield {name: value for name, value in row.items() if name is not None}
    except csv.Error as error:
        raise ShiftlabError(f"{table} is no table that can be read ({error}). Save it as CSV once more.") from error


def _with_columns(found: Labelling, rows: dict[str, tuple[dict[str, str], str]], files: Files) -> Labelling:
    """Takes over the columns that can be labels, and names the pictures that the tables do not."""
    values: dict[str, set[str]] = {}
    for labels, _ in rows.values():
        for column, value in labels.items():
            values.setdefault(column, set()).add(value)
    for column, seen in values.items():
        if len(seen - {""}) > MAX_CLASSES:
            found.notes.append(f"The column {column} has {len(seen):,} values, so it was not taken for a label.")
    found.columns = tuple(column for column, seen in values.items() if 0 < len(seen - {""}) <= MAX_CLASSES)
    found.rows = {name: (tuple(labels.get(column, "") for column in found.columns), split) for name, (labels, split) in rows.items()}
    found.left_out += [LeftOut(name, "an image without a label") for name in files.names if is_picture(name) and name not in rows]
    return found


def _celeba(files: Files, table: str) -> Labelling:
    """The lists name pictures without their folder, so pictures are found by their last part."""
    lines = _lines(files, table)
    if len(lines) < 3 or not lines[0].strip().isdigit():
        raise ShiftlabError(f"{table} is no CelebA attribute list: it must begin with a count and a line of names. Use the original file.")
    columns = tuple(lines[1].split())
    pictures = [name for name in files.names if is_picture(name)]
    masks = {name for name in pictures if MASKS in PurePosixPath(name).parts}
    where = {PurePosixPath(name).name: name for name in pictures if name not in masks}
    partition = next((name for name in files.names if PurePosixPath(name).name == PARTITION), None)
    splits = dict(line.split()[:2] for line in _lines(files, partition) if len(line.split()) > 1) if partition else {}
    found = Labelling("celeba", columns, {})
    if masks:
        found.notes.append(f"In {MASKS} lie masks ({len(masks):,}), which were not taken for pictures.")
    for place, line in enumerate(lines[2:], start=3):
        picture, *values = line.split() or [""]
        if len(values) != len(columns) or any(value not in CELEBA_VALUES for value in values):
            if picture:
                found.left_out.append(LeftOut(picture, f"line {place} of {table} has not {len(columns)} values of 1 or -1"))
        elif picture not in where:
            found.left_out.append(LeftOut(picture, f"a label without an image (line {place} of {table})"))
        else:
            labels = tuple(CELEBA_VALUES[value] for value in values)
            found.rows[where[picture]] = (labels, PARTITIONS.get(splits.get(picture, ""), ""))
    found.left_out += [LeftOut(name, "an image without a label") for name in where.values() if name not in found.rows]
    return found


def _lines(files: Files, name: str) -> list[str]:
    return decoded(files.read(name))[0].splitlines()


def decoded(data: bytes) -> tuple[str, str]:
    """A text file in the encoding it has, and a note where that is not UTF-8."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace"), "read as UTF-16"
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), "it is not UTF-8, so it was read as Windows-1252"

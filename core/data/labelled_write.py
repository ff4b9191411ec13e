"""The tables of a set that was written as PNGs, in the layout that it came in, so that whatever read the one reads the other."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from core.data.labelled import LabelledImage, LabelledSet
from core.data.labelled_layouts import ATTRIBUTE_LISTS, METADATA, PARTITION, PARTITIONS
from core.data.text_files import write_text


def write_tables(folder: Path, labelled: LabelledSet, names: Sequence[str]) -> list[Path]:
    """Writes what says the labels and splits of the pictures, `names[i]` being the path in `folder` of the set's picture i.

    Class folders say it by themselves; they get a metadata.csv beside them only where the split was drawn and the folders do not tell.
    """
    rows = list(zip(names, labelled.items, strict=True))
    if labelled.report.layout == "celeba":
        tables = {ATTRIBUTE_LISTS[0]: _attributes(labelled.columns, rows), PARTITION: _partition(rows)}
        return [write_text(folder / name, text) for name, text in tables.items()]
    if labelled.report.layout == "metadata" or any(item.split and item.split not in name for name, item in rows):
        return [write_text(folder / METADATA, _metadata(labelled.columns, rows))]
    return []


def _metadata(columns: Sequence[str], rows: Sequence[tuple[str, LabelledImage]]) -> str:
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["file_name", *columns, "split"])
    table.writerows([name, *item.labels, item.split] for name, item in rows)
    return text.getvalue()


def _attributes(columns: Sequence[str], rows: Sequence[tuple[str, LabelledImage]]) -> str:
    lines = [" ".join([PurePosixPath(name).name, *("1" if label == "yes" else "-1" for label in item.labels)]) for name, item in rows]
    return "\n".join([str(len(rows)), " ".join(columns), *lines, ""])


def _partition(rows: Sequence[tuple[str, LabelledImage]]) -> str:
    numbers = {split: number for number, split in PARTITIONS.items()}
    return "\n".join([f"{PurePosixPath(name).name} {numbers[item.split]}" for name, item in rows if item.split] + [""])

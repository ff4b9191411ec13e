"""Portraits as a labelled set on disk: PNGs and a metadata.csv with every attribute, for there the truth of each picture is known."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from core.data.images import to_pil
from core.data.labelled_layouts import METADATA
from core.data.png import write_png
from core.worlds import portraits as world

AT_ONCE = 16  # portraits between two words on how far it is


def draw_set(people: world.Portraits, domain: str, size: int, folder: Path, train: int | None = None) -> Iterator[int]:
    """Writes the portraits as `size`-pixel pictures of a domain; yields how many are there. Pictures that are there already are kept.

    train: the first so many are for training, the others for testing; None gives no split. The table is written last.
    """
    for begin in range(0, len(people), AT_ONCE):
        part = range(begin, min(begin + AT_ONCE, len(people)))
        missing = [place for place in part if not (folder / _name(place)).is_file()]
        if missing:
            for place, image in zip(missing, world.render(people[missing], domain, size), strict=True):
                write_png(folder / _name(place), to_pil(image), {})
        yield part.stop
    with (folder / METADATA).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file_name", *world.ATTRIBUTES, *(["split"] if train is not None else [])])
        for place, values in enumerate(people.attributes.tolist()):
            split = [] if train is None else ["train" if place < train else "test"]
            table.writerow([_name(place), *("yes" if value else "no" for value in values), *split])


def _name(place: int) -> str:
    return f"{place:05d}.png"

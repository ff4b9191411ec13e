"""One visitor's three sets of images: what was understood of each upload, what was left out and why, and the table that says so."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path

from PIL import Image

from core.data.images import ImageFacts, read_image
from core.data.pictures import enlarge, fit_within
from core.models import faces
from core.types import ShiftlabError
from ui.state import LabImage

EXAMPLES = Path(__file__).resolve().parents[1] / "assets" / "examples"
SETS = {"source": "Source", "target": "Target", "one_shot": "One-shot"}
KEPT_SIDE = 1024  # pixels; larger uploads are reduced to it, for no model of the lab sees more
KEPT_IMAGES = 100  # in one set
THUMBNAIL = 160


@dataclass
class Row:
    """One image of a set. `found` is None until its faces were looked for."""

    image: LabImage
    facts: ImageFacts
    found: list[faces.Face] | None = None

    def thumbnail(self, side: int = THUMBNAIL) -> Image.Image:
        """For gallery and table, with the boxes of the faces."""
        if self.found:
            return faces.with_boxes(self.image.image, self.found, side)
        return fit_within(enlarge(self.image.image, side), side)


@dataclass
class DataSets:
    """Kept in a `gr.State` and changed in place, so that overlapping uploads of one visitor lose nothing."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {key: [] for key in SETS})
    refused: list[tuple[str, str]] = field(default_factory=list)  # file name, sentence

    def add(self, key: str, paths: Iterable[Path]) -> None:
        """Reads files into a set; those that cannot be read are listed with their sentence, and the rest goes on."""
        for path in paths:
            try:
                if key == "one_shot":
                    self.rows[key] = [_read(path)]  # the newest takes the place
                elif len(self.rows[key]) >= KEPT_IMAGES:
                    raise ShiftlabError(f"This set is full with {len(self.rows[key])}. Remove some first.")
                else:
                    self.rows[key].append(_read(path))
            except ShiftlabError as error:
                self.refused.append((path.name, str(error)))

    def remove(self, key: str, index: int | None) -> None:
        """Takes one image out, or all where the index is None."""
        self.rows[key] = [] if index is None else [row for place, row in enumerate(self.rows[key]) if place != index]

    def images(self, key: str) -> list[LabImage]:
        """What the other tabs get."""
        return [row.image for row in self.rows[key]]

    def thumbnails(self, key: str) -> list[tuple[Image.Image, str]]:
        return [(row.thumbnail(), row.image.name) for row in self.rows[key]]

    def look_for_faces(self) -> bool:
        """Looks at one image that was not looked at; False when none is left."""
        for row in (row for rows in self.rows.values() for row in rows if row.found is None):
            row.found = faces.detect(row.image.image)
            return True
        return False

    @property
    def total(self) -> int:
        return sum(map(len, self.rows.values()))


def _read(path: Path) -> Row:
    picture, facts = read_image(path)
    return Row(LabImage(path.name, fit_within(picture, KEPT_SIDE)), facts)


@cache
def example_files() -> dict[str, list[Path]]:
    """The lab's own examples by domain, such as "sketch" → its files."""
    found: dict[str, list[Path]] = {}
    for path in sorted(EXAMPLES.glob("*_*.png")):
        found.setdefault(path.stem.rsplit("_", 1)[0], []).append(path)
    return found


def report_html(sets: DataSets) -> str:
    """The table of what was understood, and the list of what was left out."""
    return _refused_html(sets.refused) + (_table_html(sets) if sets.total else _empty_html())


def _empty_html() -> str:
    return (
        '<div class="blank"><b>No images yet.</b> Drop files into a set above, or add examples. '
        "Edit and Tune work without: the lab brings its own portraits.</div>"
    )


def _refused_html(refused: list[tuple[str, str]]) -> str:
    if not refused:
        return ""
    lines = "".join(f"<li><b>{escape(name)}</b> {escape(sentence)}</li>" for name, sentence in refused)
    count = "1 file was" if len(refused) == 1 else f"{len(refused)} files were"
    return f'<div class="alert left-out" role="status">{count} left out.<ul>{lines}</ul></div>'


def _table_html(sets: DataSets) -> str:
    names = ("", "File", "Set", "Size", "Kind", "Understood", "Faces")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join(_row_html(SETS[key], row) for key, rows in sets.rows.items() for row in rows)
    return f'<div class="table-wrap"><table class="facts"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _row_html(title: str, row: Row) -> str:
    facts = row.facts
    notes = [facts.note] if facts.note else []
    if max(facts.width, facts.height) > KEPT_SIDE:
        notes.append(f"reduced to {KEPT_SIDE} px")
    understood = escape(", ".join(notes)) or '<span class="quiet">as it is</span>'
    seen = '<span class="quiet">looking …</span>' if row.found is None else escape(faces.said(row.found))
    seen = seen if row.found is None or row.found else f'<span class="quiet">{seen}</span>'
    cells = (f"{facts.width} × {facts.height}", f"{escape(facts.format)}, {escape(facts.mode)}", understood, seen)
    picture = f'<td class="thumb"><img alt="" src="{_data_uri(row.thumbnail(64))}"></td>'
    name = f'<th scope="row">{escape(row.image.name)}</th>'
    return f"<tr>{picture}{name}<td>{title}</td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()

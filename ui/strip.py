"""The strip of pictures under the drop zone: those of the Data tab first, then the examples that came with the lab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from core.data.images import decode_image
from core.data.pictures import enlarge, fit_within
from ui.state import LabImage

EXAMPLES = Path(__file__).resolve().parents[1] / "assets" / "examples"
SHOWN = 420  # pixels; the picture in the drop zone
THUMBNAIL = 128
OUTLINE = "#2dd4bf"  # as the boxes of the Data tab


class Strip:
    """The examples, portraits of the source domain, are decoded once."""

    def __init__(self, folder: Path = EXAMPLES) -> None:
        self.examples = [LabImage(path.stem.replace("_", " "), decode_image(path)) for path in sorted(folder.glob("photo_*.png"))]

    def all(self, source: list[LabImage] | None) -> list[LabImage]:
        """In the order in which they stand on the page."""
        return [*(source or []), *self.examples]

    def thumbnails(self, source: list[LabImage] | None) -> list[tuple[Image.Image, None]]:
        """For the gallery."""
        return [(fit_within(enlarge(entry.image, THUMBNAIL), THUMBNAIL), None) for entry in self.all(source)]


def shown(picture: LabImage | None) -> Any:
    """A picture for the drop zone: upright, without metadata, large enough to be looked at, the chosen face outlined."""
    if picture is None:
        return None
    small = fit_within(enlarge(picture.image, SHOWN), SHOWN)
    if picture.frame is None:
        return small
    scale, small = small.width / picture.image.width, small.copy()
    corners = [(x * scale, y * scale) for x, y in picture.frame.corners]
    draw = ImageDraw.Draw(small)
    for colour, width in (("black", 4), (OUTLINE, 2)):
        draw.line([*corners, corners[0]], fill=colour, width=width, joint="curve")
    return small


def read_picture(path: str) -> LabImage:
    """A dropped file; raises ShiftlabError for one that is no picture."""
    return LabImage(Path(path).stem, decode_image(Path(path)))

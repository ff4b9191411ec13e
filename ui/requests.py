"""One edit as the page asks for it: to the engine as an EditRequest, into a PNG as a record, and back from a record."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from core.data.images import decode_image, to_mask, to_pil, to_tensor
from core.data.png import png_bytes
from core.methods.datum import picture_side
from core.models.align import as_seen
from core.types import EditRequest, Settings, ShiftlabError
from ui.session import NOTHING_DRAWN, Drawing
from ui.state import LabImage

VERSION = 1
COARSE_STEPS = 6  # DiffusionCLIP's own S_train: the fewest steps its paper shows pictures of
PICTURE_LIMIT = 48_000  # characters of base64; a 64 px picture has about 10 000


@dataclass(frozen=True)
class Plan:
    """What the Edit tab asks for: one picture, one method's settings, none, one or several edits by key, a seed, and what was drawn."""

    picture: LabImage
    settings: Settings
    edit_keys: tuple[str, ...] = ()
    seed: int = 0
    title: str = ""
    drawing: Drawing = NOTHING_DRAWN

    @property
    def has_coarse(self) -> bool:
        """Whether a coarse picture comes sooner than the full one."""
        return getattr(self.settings, "generation_steps", 0) > COARSE_STEPS

    def coarse(self) -> Plan:
        """The same with few generation steps, and without guidance, which takes twice the time."""
        sooner = {"generation_steps": COARSE_STEPS, "attention_guidance": 0.0}
        known = {name: value for name, value in sooner.items() if name in type(self.settings).model_fields}
        return replace(self, settings=self.settings.model_copy(update=known))

    def request(self, lab: Any) -> EditRequest:
        """Loads the edits; raises ShiftlabError where no base is loaded, and for an edit that belongs to another one."""
        size, drawn = self._side(lab), self.drawing
        images = as_seen(self.picture.image, self.picture.frame, size)
        painted = to_tensor([drawn.painted], size) if drawn.painted else None
        mask = to_mask(drawn.mask, size) if drawn.mask else None
        return EditRequest(images, self.settings, tuple(lab.load_edit(key) for key in self.edit_keys), self.seed, painted, mask)

    def square(self, lab: Any) -> Image.Image:
        """The picture as the model sees it."""
        return square_of(self.picture, self._side(lab))

    def _side(self, lab: Any) -> int:
        return picture_side(self.settings, lab.context())

    def record(self, lab: Any) -> dict[str, Any]:
        """Plain JSON data from which `Recalled` restores this plan; holds the picture itself where it is small enough."""
        picture: dict[str, Any] = {"name": self.picture.name}
        if self.picture.frame:
            picture["face"] = [round(value, 1) for value in (*self.picture.frame.centre, *self.picture.frame.half)]
        side = self._side(lab)
        parts = {"png": self.square(lab), "painted": self.drawing.painted, "mask": self.drawing.mask}
        small = {name: to_pil(to_tensor([part], side)) for name, part in parts.items() if part is not None}
        encoded = {name: base64.b64encode(png_bytes(part, {})).decode() for name, part in small.items()}
        picture |= {name: text for name, text in encoded.items() if len(text) <= PICTURE_LIMIT}
        return {
            "version": VERSION,
            "method": self.settings.method,
            "settings": self.settings.model_dump(mode="json"),
            "edits": list(self.edit_keys),
            "seed": self.seed,
            "base": lab.base.fingerprint,
            "picture": picture,
            "title": self.title,
        }


def square_of(picture: LabImage, side: int) -> Image.Image:
    """A picture as a model of so many pixels a side sees it: its square, in that size."""
    return to_pil(as_seen(picture.image, picture.frame, side))


@dataclass(frozen=True)
class Recalled:
    """A record read back. Nothing in it is trusted: the settings class and `lab.load_edit` judge it like any input."""

    method: str
    settings: dict[str, Any]
    edit_keys: tuple[str, ...]
    seed: int
    picture: LabImage | None
    other_base: bool
    drawing: Drawing = NOTHING_DRAWN


def recall(record: dict[str, Any], lab: Any) -> Recalled:
    """A record of `Plan.record`, or ShiftlabError that says what about it cannot be restored."""
    method, settings, edits = record.get("method"), record.get("settings"), record.get("edits", [])
    if method not in lab.methods or not isinstance(settings, dict) or not isinstance(edits, list):
        raise ShiftlabError("This PNG carries a request of another version of the lab, so its settings cannot be restored.")
    seed = record.get("seed", 0)
    return Recalled(
        method=method,
        settings=settings,
        edit_keys=tuple(str(key) for key in edits),
        seed=seed if isinstance(seed, int) else 0,
        picture=_picture(record.get("picture")),
        other_base=lab.base is not None and record.get("base") != lab.base.fingerprint,
        drawing=Drawing(_decoded(record.get("picture"), "painted"), _decoded(record.get("picture"), "mask")),
    )


def _picture(kept: Any) -> LabImage | None:
    image = _decoded(kept, "png")
    return LabImage(str(kept.get("name", "picture"))[:80], image) if image is not None else None


def _decoded(kept: Any, name: str) -> Image.Image | None:
    if not isinstance(kept, dict) or not isinstance(kept.get(name), str):
        return None
    try:
        return decode_image(base64.b64decode(kept[name], validate=True))
    except (binascii.Error, ShiftlabError):
        return None

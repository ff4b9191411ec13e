"""One edit as the page asks for it: to the engine as an EditRequest, into a PNG as a record, and back from a record."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from core.data.images import decode_image, to_pil
from core.data.png import png_bytes
from core.models.align import as_seen
from core.types import EditRequest, Settings, ShiftlabError
from ui.state import LabImage

VERSION = 1
COARSE_STEPS = 6  # DiffusionCLIP's own S_train: the fewest steps its paper shows pictures of
PICTURE_LIMIT = 48_000  # characters of base64; a 64 px picture has about 10 000


@dataclass(frozen=True)
class Plan:
    """What the Edit tab asks for: one picture, one method's settings, none, one or several edits by key, and a seed."""

    picture: LabImage
    settings: Settings
    edit_keys: tuple[str, ...] = ()
    seed: int = 0
    title: str = ""

    @property
    def has_coarse(self) -> bool:
        """Whether a coarse picture comes sooner than the full one."""
        return getattr(self.settings, "generation_steps", 0) > COARSE_STEPS

    def coarse(self) -> Plan:
        """The same with few generation steps."""
        return replace(self, settings=self.settings.model_copy(update={"generation_steps": COARSE_STEPS}))

    def request(self, lab: Any) -> EditRequest:
        """Loads the edits; raises ShiftlabError where no base is loaded, and for an edit that belongs to another one."""
        images = as_seen(self.picture.image, self.picture.frame, lab.context().base.image_size)
        return EditRequest(images, self.settings, tuple(lab.load_edit(key) for key in self.edit_keys), self.seed)

    def square(self, lab: Any) -> Image.Image:
        """The picture as the model sees it."""
        return to_pil(as_seen(self.picture.image, self.picture.frame, lab.base.image_size))

    def record(self, lab: Any) -> dict[str, Any]:
        """Plain JSON data from which `Recalled` restores this plan; holds the picture itself where it is small enough."""
        picture: dict[str, Any] = {"name": self.picture.name}
        if self.picture.frame:
            picture["face"] = [round(value, 1) for value in (*self.picture.frame.centre, *self.picture.frame.half)]
        encoded = base64.b64encode(png_bytes(self.square(lab), {})).decode()
        if len(encoded) <= PICTURE_LIMIT:
            picture["png"] = encoded
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


@dataclass(frozen=True)
class Recalled:
    """A record read back. Nothing in it is trusted: the settings class and `lab.load_edit` judge it like any input."""

    method: str
    settings: dict[str, Any]
    edit_keys: tuple[str, ...]
    seed: int
    picture: LabImage | None
    other_base: bool


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
    )


def _picture(kept: Any) -> LabImage | None:
    if not isinstance(kept, dict) or not isinstance(kept.get("png"), str):
        return None
    try:
        return LabImage(str(kept.get("name", "picture"))[:80], decode_image(base64.b64decode(kept["png"], validate=True)))
    except (binascii.Error, ShiftlabError):
        return None

"""What was chosen for one-shot adaptation, kept in home/oneshot: the target images that were brought, and choices.json."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from core.data.images import decode_image
from core.data.png import write_png
from core.data.text_files import write_text

CHOICES, IMAGES = "choices.json", "images"


class OneShotChoices(BaseModel):
    """image: file name of the target image, shown as `name`. personalise, generate, segment: ids of the runs that are looked at.

    step: of the kept checkpoint that is used, 0 for the last one, −1 for the model as it was. source, target: ids of segmentation sets.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    image: str = ""
    name: str = ""
    personalise: str = ""
    step: int = 0
    generate: str = ""
    source: str = ""
    target: str = ""
    segment: str = ""


class OneShotShelf:
    """root: the folder."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def choices(self) -> OneShotChoices:
        """What was chosen last."""
        try:
            return OneShotChoices.model_validate_json((self.root / CHOICES).read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            return OneShotChoices()

    def choose(self, **changes: Any) -> OneShotChoices:
        """Changes what is chosen, for good."""
        chosen = OneShotChoices(**{**self.choices().model_dump(), **changes})
        write_text(self.root / CHOICES, chosen.model_dump_json())
        return chosen

    def take(self, image: Image.Image, name: str) -> OneShotChoices:
        """Keeps a target image and chooses it; what was chosen for the one before is chosen no more."""
        digest = hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()[:16]
        if not (path := self.root / IMAGES / f"{digest}.png").is_file():
            write_png(path, image, {})
        before = self.choices()
        fresh = {} if before.image == path.name else {"personalise": "", "step": 0, "generate": "", "segment": ""}
        return self.choose(image=path.name, name=name, **fresh)

    def path(self) -> Path | None:
        """The chosen target image's file; None where there is none."""
        path = self.root / IMAGES / self.choices().image
        return path if path.is_file() else None

    def image(self) -> Image.Image | None:
        """The chosen target image."""
        path = self.path()
        return decode_image(path) if path is not None else None

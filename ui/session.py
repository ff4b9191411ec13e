"""What one visitor's Edit tab remembers: the picture, the results so far, and which request is the newest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from ui.state import LabImage

KEPT = 24  # results; older ones are dropped


@dataclass(frozen=True)
class Shot:
    """One result: what went in, what came out, and the record that goes into its PNG."""

    picture: LabImage
    before: Image.Image  # the picture as the model saw it: its square, at its size
    after: Image.Image
    record: dict[str, Any]
    scores: dict[str, float]
    timing: dict[str, float]
    title: str
    coarse: bool = False
    number: int = 0


@dataclass
class Session:
    """Kept in a `gr.State` and changed in place, so that overlapping events of one visitor see the same one."""

    started: bool = False  # the page has loaded; before that, other events have nothing to say
    ticket: int = 0
    numbered: int = 0
    picture: LabImage | None = None
    shown: Shot | None = None
    against: Shot | None = None  # the other result of a comparison; its `after` then stands as "before"
    shots: list[Shot] = field(default_factory=list)  # oldest first

    def new_ticket(self) -> int:
        """Makes every running preview stale and returns the number of the new one."""
        self.ticket += 1
        return self.ticket

    def keep(self, shot: Shot) -> Shot:
        """Puts a full result into the history under the next number; the same request as an earlier one replaces it."""
        self.shots = [old for old in self.shots if old.record != shot.record]
        self.numbered += 1
        numbered = Shot(**{**shot.__dict__, "number": self.numbered})
        self.shots = [*self.shots, numbered][-KEPT:]
        return numbered

    def newest_first(self) -> list[Shot]:
        """The history in the order of the gallery."""
        return self.shots[::-1]

"""What one visitor's Edit tab remembers: the picture, the results so far, and which request is the newest."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from PIL import Image

from core.data.frame import paste_back
from ui.state import LabImage, ToEdit

KEPT = 24  # results; older ones are dropped


@dataclass(frozen=True, eq=False)
class Drawing:
    """What was drawn on the square that the model sees: the square with strokes over it, and a mask, white where it may change."""

    painted: Image.Image | None = None
    mask: Image.Image | None = None


NOTHING_DRAWN = Drawing()


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

    @cached_property
    def pasted(self) -> Image.Image:
        """The photograph with the result back in its place; the result itself where the picture was taken whole."""
        return paste_back(self.picture.image, self.after, self.picture.frame) if self.picture.frame else self.after

    def pair(self, in_photo: bool) -> tuple[Image.Image, Image.Image]:
        """Before and after: of the square that the model saw, or of the whole photograph."""
        return (self.picture.image, self.pasted) if in_photo and self.picture.frame else (self.before, self.after)


@dataclass
class Session:
    """Kept in a `gr.State` and changed in place, so that overlapping events of one visitor see the same one."""

    aligned: bool = False  # faces were looked for in the picture, because the base takes aligned ones
    in_photo: bool = False  # results are shown, and downloaded, within their photographs
    failed: bool = False  # the message on the page is a run's; any other message outlives the picture that follows it
    started: bool = False  # the page shows what it opened with; before that, other events have nothing to say
    taken: ToEdit | None = None  # what another tab handed over last, once the page shows it
    ticket: int = 0
    begun: tuple[int, Any] | None = None  # ticket and plan of the full picture that was begun last
    numbered: int = 0
    picture: LabImage | None = None
    drawing: Drawing = NOTHING_DRAWN
    on_canvas: tuple[LabImage | None, Drawing] | None = None  # what the canvases show; None while they are hidden
    strengths: list[float] = field(default_factory=list)  # of the strip that is shown
    shown: Shot | None = None
    against: Shot | None = None  # the other result of a comparison; its `after` then stands as "before"
    shots: list[Shot] = field(default_factory=list)  # oldest first

    def new_ticket(self) -> int:
        """Makes every running preview stale and returns the number of the new one."""
        self.ticket += 1
        return self.ticket

    def begins(self, ticket: int, plan: Any) -> bool:
        """Whether this is the first full picture of a plan under a ticket. Gradio tells of a choice in a list twice, and both lead here."""
        asked = (ticket, plan)
        known, self.begun = self.begun == asked, asked
        return not known

    def keep(self, shot: Shot) -> Shot:
        """Puts a full result into the history under the next number; the same request as an earlier one replaces it."""
        self.shots = [old for old in self.shots if old.record != shot.record]
        self.numbered += 1
        numbered = replace(shot, number=self.numbered)
        self.shots = [*self.shots, numbered][-KEPT:]
        return numbered

    def newest_first(self) -> list[Shot]:
        """The history in the order of the gallery."""
        return self.shots[::-1]

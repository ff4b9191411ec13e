"""Where a one-shot adaptation stands: its target image, what learned it, what that drew, and the segmenters that adapted to it. All of it
is read from disk and the jobs' rows, so any page that opens sees the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.adaptation.generated import is_generated
from core.adaptation.oneshot_jobs import GENERATED, kept_checkpoints
from core.jobs.oneshot import OneShotChoices, OneShotShelf
from core.jobs.scenes import SceneShelf
from core.jobs.sets import SetEntry
from core.types import ShiftlabError
from ui.told import Told, Updates, Values

Doing = Callable[[Values, "Seen"], Updates | None]
LAST, AS_IT_WAS = 0, -1  # OneShotChoices.step


@dataclass(frozen=True)
class Shelves:
    """Where target images and choices, and segmentation sets, are kept."""

    shots: OneShotShelf
    scenes: SceneShelf


@dataclass(frozen=True)
class Chain:
    """The runs that are looked at, None where there is none; of each kind all, the newest first. kept: (step, file) of checkpoints."""

    choices: OneShotChoices = field(default_factory=OneShotChoices)
    image: Path | None = None
    personalises: tuple[Any, ...] = ()
    personalise: Any = None
    kept: tuple[tuple[int, Path], ...] = ()
    generates: tuple[Any, ...] = ()
    generate: Any = None
    segments: tuple[Any, ...] = ()
    segment: Any = None
    source: SetEntry | None = None
    target: SetEntry | None = None

    @property
    def checkpoint(self) -> tuple[int, Path] | None:
        """The one that is used; None for the model as it was, or where nothing is kept yet."""
        if self.choices.step == AS_IT_WAS or not self.kept:
            return None
        return next((found for found in self.kept if found[0] == self.choices.step), self.kept[-1])

    @property
    def drawn(self) -> Path | None:
        """The folder of the whole generated set, None where there is none."""
        folder = Path(self.generate.folder) / GENERATED if self.generate else None
        return folder if folder is not None and is_generated(folder) else None

    def need_image(self) -> Path:
        """The target image. Raises ShiftlabError where there is none."""
        if self.image is None:
            raise ShiftlabError("There is no target image yet. Drop one in step 1, or take an example.")
        return self.image


@dataclass
class Seen(Told):
    """What one page shows, so that only what changed is sent again. Changed in place."""

    step: str = "image"
    shown_pictures: int = 0
    plotted: dict[str, tuple[str, float]] = field(default_factory=dict)  # of each figure: run, when


def chain_of(lab: Any, shelves: Shelves) -> Chain:
    """Everything about what is chosen."""
    choices, jobs = shelves.shots.choices(), lab.list()
    of = {kind: tuple(job for job in jobs if job.kind == kind) for kind in ("personalise", "generate", "segment")}

    def chosen(kind: str) -> Any:
        return next((job for job in of[kind] if job.id == getattr(choices, kind)), None)

    entries = {entry.id: entry for entry in shelves.scenes.entries()}
    learned = chosen("personalise")
    return Chain(
        choices, shelves.shots.path(), of["personalise"], learned, tuple(kept_checkpoints(Path(learned.folder))) if learned else (),
        of["generate"], chosen("generate"), of["segment"], chosen("segment"), entries.get(choices.source), entries.get(choices.target),
    )  # fmt: skip

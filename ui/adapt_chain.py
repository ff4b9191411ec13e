"""Where an adaptation stands: a set, what was chosen for it, and the runs that belong to it. All of it is read from disk and the jobs'
rows, so any page that opens sees the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.adaptation.audit import AUDIT
from core.adaptation.decisions import read_decisions
from core.adaptation.jobs import ADAPTED
from core.jobs.sets import Choices, SetEntry, SetShelf
from core.types import ShiftlabError
from ui.adapt_read import audit_table
from ui.told import Told, Updates, Values

Doing = Callable[[Values, "Seen"], Updates | None]


@dataclass(frozen=True)
class Chain:
    """The runs of the choices, None where there is none. adapts: all that carried this set across, the newest first."""

    entry: SetEntry | None = None
    choices: Choices = field(default_factory=Choices)
    index: Path | None = None
    adapts: tuple[Any, ...] = ()
    adapt: Any = None
    audit: Any = None
    classify: Any = None

    @property
    def out(self) -> Path | None:
        """The folder of the adapted set, which may not be complete."""
        return Path(self.adapt.folder) / ADAPTED if self.adapt else None

    @property
    def adapted(self) -> Path:
        """The folder of the complete adapted set. Raises ShiftlabError where there is none."""
        if self.adapt is None or self.adapt.state != "done" or self.out is None:
            raise ShiftlabError("The set is not carried across yet. Start that in step 3, and go on when it is done.")
        return self.out

    @property
    def dropped(self) -> tuple[str, ...]:
        """The adapted pictures that the audit leaves out."""
        if self.audit is None or self.audit.state != "done":
            return ()
        return read_decisions(Path(self.audit.folder)).names(audit_table(Path(self.audit.folder) / AUDIT))

    def need_set(self) -> SetEntry:
        """The set, read and split. Raises ShiftlabError where there is none."""
        if self.entry is None or not self.entry.ready or self.index is None:
            raise ShiftlabError("There is no set to work with yet. Choose one in step 1.")
        return self.entry


@dataclass
class Seen(Told):
    """What one page shows, so that only what changed is sent again. Changed in place."""

    set: str = ""
    step: str = "set"
    edit: str = ""
    shown_pairs: int = 0
    plotted: tuple[str, str, float] = ("", "", 0.0)  # of the curves: run, metric, when


def chain_of(lab: Any, shelf: SetShelf, id: str) -> Chain:
    """Everything about a set by its id."""
    entry = shelf.entry(id)
    if entry is None or not entry.ready:
        return Chain(entry)
    choices = shelf.choices(id)
    index = shelf.split_index(id, choices)
    jobs = lab.list()
    adapts = tuple(job for job in jobs if job.kind == "adapt" and job.settings["index"] == str(index))
    adapt = next((job for job in adapts if job.id == choices.adapt), adapts[0] if adapts else None)
    if adapt is None:
        return Chain(entry, choices, index)
    of = str(Path(adapt.folder) / ADAPTED)

    def found(kind: str) -> Any:
        return foremost(j for j in jobs if j.kind == kind and j.settings["adapted"] == of and j.settings["column"] == choices.column)

    return Chain(entry, choices, index, adapts, adapt, found("audit"), found("classify"))


def foremost(jobs: Iterable[Any]) -> Any:
    """Of jobs, the newest first, the one that runs, for a newer one waits behind it; else the newest, None where there is none."""
    jobs = list(jobs)
    running = (job for job in jobs if job.live and job.state != "queued")
    return next(running, jobs[0] if jobs else None)

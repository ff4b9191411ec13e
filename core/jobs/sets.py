"""Labelled sets that a lab keeps, and what was chosen for each. They are read, or drawn, by threads of their own: no set waits behind a
training. A folder a set, in home/sets:

set.json      its name, and for a drawn one what is drawn      set.zip or pictures/   what it was read from
read.jsonl    the index as it was read, written last           split-….jsonl          the same with a drawn split
choices.json  column, split, target sets, adaptation           read.csv               of a set made of another: what was taken
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from core.data.labelled import LabelledSet, load_set, reading
from core.data.labelled_layouts import without_labels
from core.data.labelled_split import given_parts, has_split, with_split
from core.data.linked import linked
from core.data.text_files import write_text
from core.jobs.fetch import Fetch, Fetcher
from core.jobs.runs import new_run_id
from core.types import ShiftlabError, StepEvent, Stopped
from core.worlds.labelled import draw_set
from core.worlds.portraits import sample

FACTS, ZIP, PICTURES, READ, CHOICES = "set.json", "set.zip", "pictures", "read.jsonl", "choices.json"
INTERRUPTED = "The lab ended while this set was being read. Read it again."
EVERY = 16  # pictures between two words on how far the reading is


class Drawn(BaseModel):
    """A set drawn from the embedded portraits. attributes: of everybody in it; seed: whose people."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    count: int
    domain: str
    size: int
    seed: int
    attributes: dict[str, bool] = {}


class Choices(BaseModel):
    """What was chosen for a set. target: id of the set of true target pictures; adapt: id of the run that carried the set across.

    unlabelled: id, on the shelf without labels, of the target pictures to be counted; empty for those of `target`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    column: str = ""
    validation: float = 0.1
    test: float = 0.2
    split_seed: int = 0
    target: str = ""
    unlabelled: str = ""
    adapt: str = ""


@dataclass(frozen=True)
class SetEntry:
    """state: "running" while it is read, "done", "failed" or "interrupted"; done and total count pictures; message is a sentence."""

    id: str
    name: str
    state: str
    done: int = 0
    total: int = 0
    message: str = ""
    drawn: Drawn | None = None

    @property
    def ready(self) -> bool:
        return self.state == "done"


class SetShelf:
    """root: the folder of all sets; labels: False for a shelf of pictures whose labels are not read. Safe to use from several threads."""

    def __init__(self, root: Path, labels: bool = True) -> None:
        self.root, self.labels = Path(root), labels
        self._reader = Fetcher(self._read)

    def entries(self) -> list[SetEntry]:
        """All sets, the newest first."""
        told = {fetch.name: fetch for fetch in self._reader.list()}
        folders = [path.parent for path in self.root.glob(f"*/{FACTS}") if not path.parent.name.startswith(".")]
        found = sorted(folders, key=lambda folder: (folder / FACTS).stat().st_mtime_ns, reverse=True)
        return [self._entry(folder, told.get(folder.name)) for folder in found]

    def entry(self, id: str) -> SetEntry | None:
        """One of `entries`; None where there is none of that id."""
        folder = self.root / id
        known = Path(id).name == id and not id.startswith(".")  # it comes from the page, which may send anything
        if not known or not (folder / FACTS).is_file():
            return None
        return self._entry(folder, next((fetch for fetch in self._reader.list() if fetch.name == id), None))

    def bring(self, path: Path, name: str) -> str:
        """Takes a ZIP into the lab and begins to read it. Returns the set's id."""
        id = new_run_id()
        folder = self.root / id
        linked(path, folder / ZIP)  # a ZIP may be large, and the page's own copy goes away by itself
        write_text(folder / FACTS, json.dumps({"name": name}))
        self._reader.start(id)
        return id

    def draw(self, drawn: Drawn, name: str) -> str:
        """Begins to draw a set; one that is there already is only named again. Returns the set's id."""
        id = "drawn-" + _digest(drawn.model_dump(mode="json"))
        write_text(self.root / id / FACTS, json.dumps({"name": name, "drawn": drawn.model_dump(mode="json")}))
        if not (self.root / id / READ).is_file():
            self.read_again(id)
        return id

    def derive(self, of: str, id: str, name: str, make: Callable[[Path], object]) -> str:
        """A set made of another one at once, with what was chosen for that: `make` writes its index where it is told. Returns its id.

        One that is there already is kept; either way it is the latest now.
        """
        if not (self.root / id / FACTS).is_file():
            make(self.root / id / READ)
            chosen = self.choices(of).model_copy(update={"adapt": ""})
            write_text(self.root / id / CHOICES, chosen.model_dump_json())
            write_text(self.root / id / FACTS, json.dumps({"name": name}))
        self.choose(id)
        return id

    def read_again(self, id: str) -> None:
        """Begins the reading of a set anew; nothing where it is under way."""
        if not any(fetch.name == id and fetch.state == "running" for fetch in self._reader.list()):
            self._reader.start(id)

    def load(self, id: str) -> LabelledSet:
        """The set as it was read. Raises ShiftlabError where it is not, or has no label."""
        path = self.read_index(id)
        labelled = _loaded(path, path.stat().st_mtime_ns)
        if self.labels and not labelled.columns:
            raise ShiftlabError(without_labels(labelled.report.notes))
        return labelled

    def read_index(self, id: str) -> Path:
        """The index of `load`."""
        path = self.root / id / READ
        if not id or not path.is_file():
            raise ShiftlabError("This set is not read yet. Wait for it, or choose another one.")
        return path

    def split_index(self, id: str, choices: Choices) -> Path:
        """The index to work with: as read where the set gives its whole split itself, else with what is missing drawn as it is chosen.

        Raises ShiftlabError for shares that leave nothing to train on.
        """
        labelled = self.load(id)
        if has_split(labelled):
            return self.root / id / READ
        column = choices.column if choices.column in labelled.columns else labelled.columns[0]
        how = (column, choices.validation, choices.test, choices.split_seed)
        path = self.root / id / f"split-{_digest((*how, *given_parts(labelled)))}.jsonl"
        return path if path.is_file() else with_split(labelled, *how).save(path)

    def split(self, id: str, choices: Choices) -> LabelledSet:
        """The set of `split_index`."""
        path = self.split_index(id, choices)
        return _loaded(path, path.stat().st_mtime_ns)

    def choices(self, id: str) -> Choices:
        """What was chosen for a set, with its first column where nothing was."""
        try:
            chosen = Choices(**json.loads((self.root / id / CHOICES).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            chosen = Choices()
        columns = self.load(id).columns
        return chosen if chosen.column in columns else chosen.model_copy(update={"column": columns[0]})

    def choose(self, id: str, **changes: Any) -> Choices:
        """Changes what is chosen, for good."""
        chosen = Choices(**{**self.choices(id).model_dump(), **changes})
        write_text(self.root / id / CHOICES, chosen.model_dump_json())
        return chosen

    def latest(self) -> str:
        """The ready set for which something was chosen last, else the newest; empty where there is none."""
        entries = [entry for entry in self.entries() if entry.ready]
        touched = [entry for entry in entries if (self.root / entry.id / CHOICES).is_file()]
        newest = max(touched, key=lambda entry: (self.root / entry.id / CHOICES).stat().st_mtime_ns, default=None)
        return newest.id if newest else entries[0].id if entries else ""

    def _entry(self, folder: Path, told: Fetch | None) -> SetEntry:
        entry, path = _entry(folder, told), folder / READ
        if self.labels and entry.ready and (lacking := _lacking_labels(path, path.stat().st_mtime_ns)):
            return replace(entry, state="failed", message=lacking)
        return entry

    def _read(self, id: str, should_stop: Callable[[], bool]) -> Generator[StepEvent, None, Path]:
        """Draws what is to be drawn, and reads the set."""
        folder = self.root / id
        drawn = _entry(folder, None).drawn
        if drawn is not None:
            for done in draw_set(sample(drawn.count, drawn.seed, **drawn.attributes), drawn.domain, drawn.size, folder / PICTURES):
                yield StepEvent("draw", done, drawn.count)
                if should_stop():
                    raise Stopped
        walk = reading(folder / (ZIP if drawn is None else PICTURES), labels=self.labels)
        return (yield from reading_events(walk, should_stop)).save(folder / READ)


def reading_events(walk: Generator[tuple[int, int], None, Any], should_stop: Callable[[], bool]) -> Generator[StepEvent, None, Any]:
    """Tells now and then how far a reading is, and returns the set that was read. Raises Stopped when asked to stop."""
    while True:
        try:
            done, total = next(walk)
        except StopIteration as end:
            return end.value
        if done % EVERY == 0 or done == total:
            yield StepEvent("read", done, total)
        if should_stop():
            raise Stopped


@cache
def shelf_of(root: Path, labels: bool = True) -> SetShelf:
    """The one shelf of a folder: what reads a set tells how far it is only to the shelf that asked for it."""
    return SetShelf(root, labels)


@lru_cache(maxsize=4)
def _loaded(path: Path, changed: int) -> LabelledSet:
    return load_set(path)


@lru_cache(maxsize=256)
def _lacking_labels(path: Path, changed: int) -> str:
    """Why nothing can be learned from a set that was read before such sets were refused; empty for any other."""
    with path.open(encoding="utf-8") as file, suppress(ValueError):  # a damaged index says so when it is loaded
        head = json.loads(file.readline())
        return without_labels(head["notes"]) if head.get("columns") == [] else ""
    return ""


def _entry(folder: Path, told: Fetch | None) -> SetEntry:
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    drawn = Drawn(**facts["drawn"]) if "drawn" in facts else None
    if (folder / READ).is_file():
        return SetEntry(folder.name, facts["name"], "done", drawn=drawn)
    if told is None:
        return SetEntry(folder.name, facts["name"], "interrupted", message=INTERRUPTED, drawn=drawn)
    state = "interrupted" if told.state == "stopped" else "running" if told.state == "done" else told.state
    return SetEntry(folder.name, facts["name"], state, told.done, told.total, told.message, drawn)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]

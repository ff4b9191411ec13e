"""Segmentation sets that a lab keeps, in home/scenes: as its labelled sets (see core/jobs/sets.py), with masks in place of labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator
from functools import cache, lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from core.data.segmented import SegmentedSet, load_segmented, reading_segmented, with_split
from core.data.text_files import write_text
from core.jobs.sets import FACTS, PICTURES, READ, ZIP, SetShelf, reading_events
from core.types import ShiftlabError, StepEvent, Stopped
from core.worlds.labelled_streets import draw_scenes
from core.worlds.streets import sample

DRAWN, SPLIT = "drawn_scenes.json", "split.jsonl"  # in a set's folder: what is drawn, and the index with a split


class DrawnScenes(BaseModel):
    """A set drawn from the embedded streets: `train` scenes to learn from and `test` to measure on."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    train: int
    test: int
    domain: str
    height: int
    seed: int


class SceneShelf(SetShelf):
    """Brings, draws and reads sets of images and masks, as the shelf of labelled sets does its own."""

    def draw_streets(self, drawn: DrawnScenes, name: str) -> str:
        """Begins to draw a set; one that is there already is only named again. Returns the set's id."""
        text = drawn.model_dump_json()
        id = "drawn-" + hashlib.sha256(text.encode()).hexdigest()[:12]
        write_text(self.root / id / DRAWN, text)
        write_text(self.root / id / FACTS, json.dumps({"name": name}))
        if not (self.root / id / READ).is_file():
            self.read_again(id)
        return id

    def load(self, id: str) -> SegmentedSet:
        """The set as it was read. Raises ShiftlabError where it is not."""
        path = self.index(id)
        return _loaded(path, path.stat().st_mtime_ns)

    def index(self, id: str) -> Path:
        """The index of a set as it was read. Raises ShiftlabError where it is not."""
        path = self.root / id / READ
        if not id or not path.is_file():
            raise ShiftlabError("This set is not read yet. Wait for it, or choose another one.")
        return path

    def index_with_split(self, id: str) -> Path:
        """The same, for a set that is learned from: one without a split of its own gets one."""
        path = self.root / id / SPLIT
        return path if path.is_file() else with_split(self.load(id)).save(path)

    def _read(self, id: str, should_stop: Callable[[], bool]) -> Generator[StepEvent, None, Path]:
        """Draws what is to be drawn, and reads the set."""
        folder = self.root / id
        drawn = DrawnScenes(**json.loads((folder / DRAWN).read_text(encoding="utf-8"))) if (folder / DRAWN).is_file() else None
        if drawn is not None:
            streets = sample(drawn.train + drawn.test, drawn.seed)
            for done in draw_scenes(streets, drawn.domain, drawn.height, folder / PICTURES, drawn.train):
                yield StepEvent("draw", done, len(streets))
                if should_stop():
                    raise Stopped
        walk = reading_segmented(folder / (ZIP if drawn is None else PICTURES))
        return (yield from reading_events(walk, should_stop)).save(folder / READ)


@cache
def scenes_of_home(home: Path) -> SceneShelf:
    """The one shelf of a home: what reads a set tells how far it is only to the shelf that asked for it."""
    return SceneShelf(home / "scenes")


@lru_cache(maxsize=4)
def _loaded(path: Path, changed: int) -> SegmentedSet:
    return load_segmented(path)

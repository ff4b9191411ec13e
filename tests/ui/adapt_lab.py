"""A lab for the Adapt tab: jobs are rows that a test writes, and a folder of adapted pictures is made by turning pictures round."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
from PIL import ImageOps

from core.adaptation.adapt import FACTS, INDEX, MANIFEST
from core.adaptation.audit import AUDIT
from core.adaptation.jobs import ADAPTED
from core.data.labelled import digest_of, load_set
from core.data.png import write_png
from core.jobs.sets import READ, SetShelf
from core.jobs.tasks import Task
from core.types import ShiftlabError
from tests.adaptation.helpers import split_set
from tests.ui.fake_lab import FakeLab
from ui.adapt_tab import AdaptTab
from ui.state import create_shared


@dataclass
class Row:
    """A job's row."""

    id: str
    name: str
    kind: str
    settings: dict[str, Any]
    folder: Path
    state: str = "queued"
    step: int = 0
    total: int = 0
    eta_s: float | None = None
    message: str = ""
    position: int = 1
    created: float = 1.0
    finished: float | None = None
    method: str = field(default="")

    @property
    def live(self) -> bool:
        return self.state in ("queued", "running", "cancelling")

    @property
    def resumable(self) -> bool:
        return self.state in ("cancelled", "interrupted", "failed")


class AdaptLab(FakeLab):
    """Keeps what was started; `asked_for` keeps what was cancelled or resumed."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self.home, self.rows, self.asked_for = home, [], []

    def list(self) -> list[Row]:
        return self.rows

    def get(self, id: str) -> Row:
        return next(row for row in self.rows if row.id == id)

    def start(self, task: Task, name: str) -> str:
        id = f"run-{len(self.rows)}"
        self.rows.insert(0, Row(id, name, task.kind, task.model_dump(mode="json"), self.home / "runs" / id))
        return id

    def cancel(self, id: str) -> None:
        if not self.get(id).live:
            raise ShiftlabError("There is nothing to cancel.")
        self.asked_for.append(("cancel", id))

    def resume(self, id: str) -> None:
        self.asked_for.append(("resume", id))


def put_set(shelf: SetShelf, folder: Path, count: int = 4) -> str:
    """A set on the shelf that was read and split already: `count` pictures of each of two classes."""
    (shelf.root / "faces").mkdir(parents=True)
    (shelf.root / "faces" / "set.json").write_text(json.dumps({"name": "faces"}))
    split_set(folder, count).save(shelf.root / "faces" / READ)
    return "faces"


def carry(row: Row) -> Path:
    """What an adaptation leaves behind, with identities that rise from picture to picture."""
    labelled, out = load_set(Path(row.settings["index"])), Path(row.folder) / ADAPTED
    for item in labelled.items:
        write_png(out / item.name, ImageOps.mirror(labelled.picture(item)), {})
    rows = [
        {"name": item.name, "source": item.name, "label class": item.labels[0], "split": item.split, "identity": place / 10}
        for place, item in enumerate(labelled.items)
    ]
    with (out / MANIFEST).open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    (out / FACTS).write_text(json.dumps({"image_size": 16}))
    items = [item._replace(digest=digest_of((out / item.name).read_bytes())) for item in labelled.items]
    replace(labelled, items=tuple(items)).save(out / INDEX)
    row.state, row.step, row.total, row.finished = "done", len(rows), len(rows), 2.0
    return out


def audited(row: Row, names: list[str]) -> None:
    """What an audit leaves behind: the first picture lost its label."""
    Path(row.folder).mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame({"name": names, "split": "train", "label": "no", "classifier": 0.9, "clip": 0.9, "identity": 0.9})
    table.loc[0, ["classifier", "clip"]] = 0.1
    table.to_csv(Path(row.folder) / AUDIT, index=False)
    row.state = "done"


def adapt_tab(home: Path) -> AdaptTab:
    """The tab on a page of its own, wired, over a lab with this home."""
    with gr.Blocks() as page:
        shared = create_shared(page)
        with gr.Tabs() as shared.tabs, gr.Tab("Adapt", id="adapt") as shared.tab["adapt"]:
            tab = AdaptTab(AdaptLab(home), shared)
            tab.wire()
    return tab

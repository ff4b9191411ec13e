"""A run as a ZIP that can be handed on: what went in as text, what was measured as a table, what was drawn as pictures. No weights."""

from __future__ import annotations

import csv
import io
import json
import os
import uuid
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.data.edits import read_card
from core.jobs.runs import RunFolder
from core.jobs.store import Job
from core.types import ShiftlabError


def export_run(job: Job, path: Path) -> Path:
    """Writes run.json, stats.csv, samples/, log.txt and, where the run is done, card.json. The file appears whole; returns `path`."""
    folder = RunFolder(job.folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("run.json", json.dumps(_facts(job), indent=2))
        file.writestr("stats.csv", as_csv(folder.numbers()))
        card = card_of(job)
        if card is not None:
            file.writestr("card.json", json.dumps(card, indent=2))
        for step, pictures in folder.sample_strip():
            for picture in pictures:
                file.write(picture, f"samples/{step:06d}/{picture.name}", zipfile.ZIP_STORED)
        if folder.log_file.is_file():
            file.write(folder.log_file, "log.txt")
    os.replace(temporary, path)
    return path


def card_of(job: Job) -> dict[str, Any] | None:
    """The card of the edit that came of a run; None where there is none (yet)."""
    try:
        return read_card(RunFolder(job.folder).edit).model_dump(mode="json")
    except ShiftlabError:
        return None


def as_csv(rows: Iterable[dict[str, Any]]) -> str:
    """Rows with unequal keys as one table; columns in the order in which they first appear."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _facts(job: Job) -> dict[str, Any]:
    names = ("id", "name", "method", "kind", "state", "step", "total", "message", "created", "finished", "settings")
    return {name: getattr(job, name) for name in names}

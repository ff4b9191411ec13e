"""The table of jobs: one SQLite file (WAL, so that pages read while the worker writes), one row a job. No torch, no threads of its own."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIVE = ("queued", "running", "cancelling")
RESUMABLE = ("cancelled", "interrupted", "failed")
ENDED = ("cancelled", "interrupted", "failed", "done")

_TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, method TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
    step INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0, eta_s REAL, message TEXT NOT NULL DEFAULT '',
    created REAL NOT NULL, queued REAL NOT NULL, finished REAL, folder TEXT NOT NULL, settings TEXT NOT NULL
)"""
_COLUMNS = "id, name, method, kind, state, step, total, eta_s, message, created, finished, folder, settings"


@dataclass(frozen=True)
class Job:
    """A row as it stood when it was read. Times are seconds since 1970; eta_s is None where nothing can be said yet.

    state: "queued", "running", "cancelling", "cancelled", "interrupted", "failed" or "done". position: 1 for the next in the queue, 0
    for every job that is not queued. step and total count the method's own steps; message is a sentence, empty where all is well.
    """

    id: str
    name: str
    method: str
    kind: str
    state: str
    step: int
    total: int
    eta_s: float | None
    message: str
    created: float
    finished: float | None
    folder: Path
    settings: dict[str, Any]
    position: int = 0

    @property
    def live(self) -> bool:
        """Whether something may still happen to it by itself."""
        return self.state in LIVE

    @property
    def resumable(self) -> bool:
        return self.state in RESUMABLE


class JobStore:
    """The rows, safe to use from several threads. `clock` gives the time of a row, in seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._rows = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._write("PRAGMA journal_mode=WAL")
        self._write(_TABLE)

    def add(self, id: str, name: str, method: str, kind: str, folder: Path, settings: dict[str, Any]) -> None:
        """A new job at the end of the queue."""
        now = self._clock()
        self._write(
            "INSERT INTO jobs (id, name, method, kind, state, created, queued, folder, settings) VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?)",
            (id, name, method, kind, now, now, str(folder), json.dumps(settings)),
        )

    def list(self) -> list[Job]:
        """All jobs, the newest first."""
        waiting = [row[0] for row in self._read("SELECT id FROM jobs WHERE state = 'queued' ORDER BY queued, rowid")]
        places = {id: place for place, id in enumerate(waiting, start=1)}
        return [_job(row, places.get(row[0], 0)) for row in self._read(f"SELECT {_COLUMNS} FROM jobs ORDER BY created DESC, rowid DESC")]

    def get(self, id: str) -> Job | None:
        return next((job for job in self.list() if job.id == id), None)

    def claim(self) -> Job | None:
        """The first in the queue, now "running", or None. Only one caller gets it."""
        found = self._write(
            "UPDATE jobs SET state = 'running', message = '', eta_s = NULL, finished = NULL WHERE state = 'queued' AND id = "
            "(SELECT id FROM jobs WHERE state = 'queued' ORDER BY queued, rowid LIMIT 1) RETURNING id"
        )
        return self.get(found[0][0]) if found else None

    def progress(self, id: str, step: int, total: int, eta_s: float | None, message: str) -> None:
        self._write("UPDATE jobs SET step = ?, total = ?, eta_s = ?, message = ? WHERE id = ?", (step, total, eta_s, message, id))

    def move(self, id: str, states: Sequence[str], to: str, message: str = "") -> bool:
        """Changes the state if it is one of `states`, in one stroke; False where it was not."""
        finished = self._clock() if to in ENDED else None
        marks = ", ".join("?" for _ in states)
        return bool(
            self._write(
                f"UPDATE jobs SET state = ?, message = ?, eta_s = NULL, finished = ? WHERE id = ? AND state IN ({marks}) RETURNING id",
                (to, message, finished, id, *states),
            )
        )

    def requeue(self, id: str) -> bool:
        """A stopped job to the end of the queue; False where it is not resumable."""
        marks = ", ".join("?" for _ in RESUMABLE)
        return bool(
            self._write(
                f"UPDATE jobs SET state = 'queued', message = '', eta_s = NULL, finished = NULL, queued = ? "
                f"WHERE id = ? AND state IN ({marks}) RETURNING id",
                (self._clock(), id, *RESUMABLE),
            )
        )

    def interrupt_stale(self, message: str) -> int:
        """Marks what a server that is gone left running. Only for the one who holds the home. Returns how many there were."""
        return len(
            self._write(
                "UPDATE jobs SET state = 'interrupted', message = ?, eta_s = NULL, finished = ? "
                "WHERE state IN ('running', 'cancelling') RETURNING id",
                (message, self._clock()),
            )
        )

    def delete(self, id: str) -> bool:
        """Removes a row that is neither running nor being cancelled; False where it is."""
        return bool(self._write("DELETE FROM jobs WHERE id = ? AND state NOT IN ('running', 'cancelling') RETURNING id", (id,)))

    def close(self) -> None:
        with self._lock:
            self._rows.close()

    def _read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, closing(self._rows.execute(sql, values)) as cursor:
            return cursor.fetchall()

    _write = _read  # in autocommit mode every statement is a transaction of its own


def _job(row: tuple[Any, ...], position: int) -> Job:
    *plain, folder, settings = row
    return Job(*plain, Path(folder), json.loads(settings), position)

"""Downloads that go on while the page does other things: one thread each, told of in a list. Nothing starts unless somebody asks.

They are no jobs of the table: a download computes nothing, need not wait behind a training, and goes on from its own partial files. Sets
are read in the same way (core/jobs/sets.py).
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.jobs.errors import sentence
from core.types import ShiftlabError, StepEvent, Stopped

Download = Callable[[str, Callable[[], bool]], Generator[StepEvent, None, Path]]
STOPPED = "Stopped. What came so far is kept; fetching it again goes on from there."


@dataclass(frozen=True)
class Fetch:
    """One download. done and total in megabytes; state: "running", "done", "stopped" or "failed"; message: a sentence."""

    name: str
    state: str = "running"
    done: int = 0
    total: int = 0
    message: str = ""


class Fetcher:
    """download(name, should_stop): yields StepEvents counted in megabytes, and raises ShiftlabError or Stopped."""

    def __init__(self, download: Download) -> None:
        self._download = download
        self._fetches: dict[str, Fetch] = {}
        self._stops: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def list(self) -> list[Fetch]:
        """All of this session, in the order in which they were asked for."""
        with self._lock:
            return list(self._fetches.values())

    def start(self, name: str) -> None:
        """Raises ShiftlabError where it is being fetched already."""
        with self._lock:
            if name in self._fetches and self._fetches[name].state == "running":
                raise ShiftlabError(f"{name} is being fetched already.")
            self._fetches.pop(name, None)  # asked for anew: it stands last
            self._fetches[name], self._stops[name] = Fetch(name), threading.Event()
        threading.Thread(target=self._run, args=(name, self._stops[name]), name=f"fetch {name}", daemon=True).start()

    def stop(self, name: str) -> None:
        """Stops it after its present piece; nothing where it does not run."""
        if name in self._stops:
            self._stops[name].set()

    def close(self) -> None:
        for name in list(self._stops):
            self.stop(name)

    def _run(self, name: str, stop: threading.Event) -> None:
        try:
            with closing(self._download(name, stop.is_set)) as events:
                for event in events:
                    self._tell(name, done=event.step, total=event.total, message=event.note)
            self._tell(name, state="done", message="")
        except Stopped:
            self._tell(name, state="stopped", message=STOPPED)
        except Exception as error:  # a thread of its own: whatever happens must reach the page
            if not isinstance(error, ShiftlabError):
                traceback.print_exc()
            self._tell(name, state="failed", message=sentence(error, log="server", again="try again"))

    def _tell(self, name: str, **changes: Any) -> None:
        with self._lock:
            self._fetches[name] = replace(self._fetches[name], **changes)

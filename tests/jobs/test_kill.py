"""`kill -9` in the middle of a run: the next lab on the same home finds it interrupted and ends it with the very same weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.jobs.store import JobStore
from core.lab import Lab
from core.types import ShiftlabError
from tests.jobs.helpers import equal, finished, submit, wait_until
from tests.jobs.serve import HOLD, SETTINGS

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]


def test_a_killed_run_ends_as_if_nothing_had_happened(tmp_path: Path, checkpoints: Path, open_lab: Callable[[], Lab]) -> None:
    home = tmp_path / "home"
    command = [sys.executable, "-m", "tests.jobs.serve", str(home), str(checkpoints)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            id = server.stdout.readline().strip()
            jobs = JobStore(home / "jobs.sqlite")
            wait_until(lambda: (job := jobs.get(id)) and job.step == HOLD)
            with pytest.raises(ShiftlabError, match=f"in use by another Shiftlab \\(process {server.pid}\\)"):
                open_lab()
        finally:
            os.kill(server.pid, signal.SIGKILL)

    lab = open_lab()
    job = lab.get(id)
    assert (job.state, job.resumable, job.step) == ("interrupted", True, HOLD)
    lab.resume(id)
    whole = submit(lab, "never killed", **SETTINGS)
    assert (finished(lab, id), finished(lab, whole)) == ("done", "done")
    assert equal(lab.load_edit(f"run/{id}"), lab.load_edit(f"run/{whole}"))
    assert [row["step"] for row in lab.events(id)] == list(range(1, SETTINGS["steps"] + 1))

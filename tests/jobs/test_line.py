"""The line of what is running: job, step, time left."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.jobs.fetch import Fetch
from core.jobs.line import job_line
from core.jobs.store import Job


def job(state: str, step: int = 0, total: int = 0, eta_s: float | None = None) -> Job:
    return Job("one", "sketch", "diffusionclip", "tune", state, step, total, eta_s, "", 1.0, None, Path("one"), {})


@pytest.mark.parametrize(
    ("jobs", "line"),
    [
        ([], ""),
        ([job("done", 8, 8)], ""),
        ([job("running")], "sketch: starting"),
        ([job("running", 1, 8)], "sketch: 1 of 8"),
        ([job("running", 3, 8, 125.0)], "sketch: 3 of 8, 2 min 5 s left"),
        ([job("cancelling", 3, 8, 125.0)], "sketch: stopping"),
        ([job("queued"), job("running", 3, 8, 8.0)], "sketch: 3 of 8, 8 s left, 1 waiting"),
    ],
)
def test_it_says_what_runs_how_far_and_how_long_still(jobs: list[Job], line: str) -> None:
    assert job_line(jobs, []) == line


def test_it_says_what_is_fetched() -> None:
    assert job_line([], [Fetch("model", done=3, total=90)]) == "fetching model: 3 of 90 MB"

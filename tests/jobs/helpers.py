"""Short words for tests of jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from core.lab import Lab
from core.types import Edit
from tests.jobs.counting import CountingSettings
from tests.jobs.serve import SEED, images

PATIENCE = 100.0  # seconds; a busy machine is slow


def wait_until(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def submit(lab: Lab, name: str = "run", **settings: Any) -> str:
    return lab.submit("counting", CountingSettings(**settings), images(), name, SEED)


def finished(lab: Lab, id: str) -> str:
    """Waits for the end and returns the state."""
    wait_until(lambda: not lab.get(id).live)
    return lab.get(id).state


def equal(a: Edit, b: Edit) -> bool:
    return a.weights.keys() == b.weights.keys() and all(bool((a.weights[name] == b.weights[name]).all()) for name in a.weights)

"""A lab with the counting method on a tiny base."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.lab import Lab
from tests.jobs.counting import Counting
from tests.tiny import write_base


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    write_base(folder / "base")
    return folder


@pytest.fixture
def open_lab(tmp_path: Path, checkpoints: Path) -> Iterator[Callable[[], Lab]]:
    """Opens a lab, each time on the same home; the one before must be closed by then."""
    labs: list[Lab] = []

    def make() -> Lab:
        labs.append(Lab(tmp_path / "home", checkpoints, "cpu", {"counting": Counting()}))
        return labs[-1]

    yield make
    for lab in labs:
        lab.close()


@pytest.fixture
def lab(open_lab: Callable[[], Lab]) -> Lab:
    return open_lab()

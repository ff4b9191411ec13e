"""Run folders: the request comes back bit for bit, and torn or repeated lines do not spoil the curves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.jobs import runs
from core.jobs.runs import RunFolder, new_run_id
from core.types import StepEvent, TrainRequest
from tests.jobs.counting import CountingSettings


def new_folder(path: Path, **more: torch.Tensor) -> tuple[RunFolder, TrainRequest]:
    request = TrainRequest(torch.randn(3, 3, 8, 8), CountingSettings(steps=9), "name", 5, **more)
    return RunFolder.create(path, request), request


def test_the_request_comes_back_bit_for_bit(tmp_path: Path) -> None:
    folder, request = new_folder(tmp_path / "run", samples=torch.randn(2, 3, 8, 8))
    found = folder.request(CountingSettings)
    assert torch.equal(found.images, request.images)
    assert found.samples is not None and request.samples is not None and torch.equal(found.samples, request.samples)
    assert (found.settings, found.name, found.seed, found.target_images) == (request.settings, "name", 5, None)


def test_a_full_disk_leaves_no_half_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs, "save_file", full)
    with pytest.raises(OSError):
        new_folder(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_repeated_steps_count_once_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    folder, _ = new_folder(tmp_path / "run")
    assert folder.numbers() == []
    for step, loss in [(1, 0.5), (2, 0.4), (3, 0.3), (2, 0.2)]:
        folder.add_numbers(StepEvent("train", step, 4, {"loss": loss}))
    with (tmp_path / "run" / "stats.jsonl").open("a") as file:
        file.write('{"phase": "train", "st')
    assert [(row["step"], row["loss"]) for row in folder.numbers()] == [(1, 0.5), (2, 0.2), (3, 0.3)]


def test_a_line_after_a_torn_one_is_whole(tmp_path: Path) -> None:
    folder, _ = new_folder(tmp_path / "run")
    folder.add_numbers(StepEvent("train", 1, 4))
    with (tmp_path / "run" / "stats.jsonl").open("a") as file:
        file.write('{"phase": "tr')
    folder.add_numbers(StepEvent("train", 2, 4))
    folder.add_numbers(StepEvent("train", 3, 4))
    assert [row["step"] for row in folder.numbers()] == [1, 2, 3]


def test_samples_of_the_same_step_are_replaced(tmp_path: Path) -> None:
    folder, _ = new_folder(tmp_path / "run")
    assert folder.sample_strip() == []
    folder.add_samples(100, torch.zeros(12, 3, 8, 8))
    folder.add_samples(20, torch.zeros(3, 3, 8, 8))
    folder.add_samples(20, torch.zeros(2, 3, 8, 8))
    strip = folder.sample_strip()
    assert [(step, len(pictures)) for step, pictures in strip] == [(20, 2), (100, 12)]
    assert [path.stem for path in strip[1][1]] == [str(place) for place in range(12)]


def test_ids_differ() -> None:
    assert new_run_id() != new_run_id()

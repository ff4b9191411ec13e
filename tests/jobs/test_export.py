"""A run as a ZIP."""

from __future__ import annotations

import json
import zipfile

import torch

from core.jobs.export import as_csv, export_run
from core.jobs.runs import RunFolder
from core.jobs.store import Job
from core.methods.diffusionclip_settings import DiffusionCLIPTune
from core.types import StepEvent, TrainRequest


def test_everything_but_the_weights(tmp_path):
    settings = DiffusionCLIPTune()
    folder = RunFolder.create(tmp_path / "run", TrainRequest(torch.zeros(1, 3, 16, 16), settings, "mine"))
    folder.add_numbers(StepEvent("train", 1, 2, {"loss": 0.5}))
    folder.add_samples(1, torch.zeros(2, 3, 16, 16))
    folder.log("Started.")
    row = ("run", "mine", "diffusionclip", "tune", "cancelled", 1, 2, None, "", 0.0, 1.0, folder.path, settings.model_dump(mode="json"))
    path = export_run(Job(*row), tmp_path / "out" / "run.zip")
    with zipfile.ZipFile(path) as file:
        assert sorted(file.namelist()) == ["log.txt", "run.json", "samples/000001/0.png", "samples/000001/1.png", "stats.csv"]
        assert json.loads(file.read("run.json"))["settings"]["return_step"] == 500
        assert file.read("stats.csv").decode().startswith("phase,step,total")
    assert [entry.name for entry in path.parent.iterdir()] == ["run.zip"]


def test_rows_with_unequal_keys_are_one_table():
    assert as_csv([{"a": 1}, {"a": 2, "b": 3}]).splitlines() == ["a,b", "1,", "2,3"]
    assert as_csv([]).strip() == ""

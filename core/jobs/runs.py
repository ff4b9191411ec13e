"""A run's folder: everything about one job that is not a row of the table.

settings.json         method, name, seed, base, settings         request.safetensors   images, target_images, samples, as they went in
stats.jsonl           one line of numbers a step            samples/step_000123/  0.png, 1.png, … as the training went on
checkpoints/          see core/data/checkpoints.py          edit.safetensors      what came of it
models.json           name and fingerprint of base, clip and identity that it ran with
log.txt               what happened, with tracebacks
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from core.data.images import to_pils
from core.data.png import write_png
from core.jobs.tasks import Task
from core.types import Settings, StepEvent, TrainRequest

MODELS = "models.json"
IMAGES = ("images", "target_images", "samples")


class RunFolder:
    """One run on disk. Its name is the run's id."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @classmethod
    def create(cls, path: Path, request: TrainRequest, base: str = "") -> RunFolder:
        """A new run, base being its base's fingerprint. The folder appears whole or not at all. OSError when the disk does not take it."""
        facts = {"method": request.settings.method, "name": request.name, "seed": request.seed, "base": base}
        return cls._create(path, {**facts, "settings": request.settings.model_dump(mode="json")}, _images(request))

    @classmethod
    def create_task(cls, path: Path, task: Task, name: str) -> RunFolder:
        """A new run of a task, which needs no images of its own. As whole as `create`."""
        return cls._create(path, {"method": task.kind, "name": name, "settings": task.model_dump(mode="json")}, {})

    @classmethod
    def _create(cls, path: Path, facts: dict[str, Any], images: dict[str, Tensor]) -> RunFolder:
        unfinished = path.with_name(f".{path.name}")
        unfinished.mkdir(parents=True)
        try:
            (unfinished / "settings.json").write_text(json.dumps(facts, indent=2))
            if images:
                save_file(images, unfinished / "request.safetensors")
            os.replace(unfinished, path)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return cls(path)

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def edit(self) -> Path:
        return self.path / "edit.safetensors"

    @property
    def log_file(self) -> Path:
        return self.path / "log.txt"

    def base(self) -> str:
        """The fingerprint of the base that it was submitted for; empty where nobody said."""
        return json.loads((self.path / "settings.json").read_text()).get("base", "")

    def settings(self) -> dict[str, Any]:
        """The settings that it was begun with, as plain data."""
        return json.loads((self.path / "settings.json").read_text())["settings"]

    def note_models(self, models: dict[str, str]) -> None:
        """Records which models it runs with: part → "name fingerprint"."""
        (self.path / MODELS).write_text(json.dumps(models, indent=2) + "\n", encoding="utf-8")

    def models(self) -> dict[str, str]:
        """The models that it was run with; empty where it never ran."""
        path = self.path / MODELS
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def request(self, settings_class: type[Settings]) -> TrainRequest:
        """The request as it was submitted, bit for bit. Raises OSError or ValueError where the folder was damaged."""
        facts = json.loads((self.path / "settings.json").read_text())
        images = load_file(self.path / "request.safetensors")
        return TrainRequest(
            images["images"],
            settings_class(**facts["settings"]),
            facts["name"],
            facts["seed"],
            images.get("target_images"),
            images.get("samples"),
        )

    def log(self, line: str) -> None:
        with self.log_file.open("a") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}\n")

    def add_numbers(self, event: StepEvent) -> None:
        """One line of stats.jsonl: phase, step, total, seconds since 1970, and the event's numbers."""
        row = {"phase": event.phase, "step": event.step, "total": event.total, "time": time.time(), **event.numbers}
        with (self.path / "stats.jsonl").open("ab+") as file:
            torn = file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n"  # by a kill -9 in the middle of a line
            file.write((b"\n" if torn else b"") + json.dumps(row).encode() + b"\n")

    def numbers(self) -> list[dict[str, Any]]:
        """The rows of stats.jsonl by step. A resumed training repeats the steps since its checkpoint; their later rows count."""
        rows: dict[tuple[str, int], dict[str, Any]] = {}
        try:
            lines = (self.path / "stats.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        for line in lines:
            try:
                row = json.loads(line)
                rows[row["phase"], row["step"]] = row
            except (ValueError, KeyError):  # the last line before a kill -9 may be torn
                continue
        return sorted(rows.values(), key=lambda row: row["step"])

    def add_samples(self, step: int, images: Tensor) -> None:
        """Sample images `(K, 3, H, W)` in [-1, 1]. Their folder appears whole or not at all."""
        folder = self.path / "samples" / f"step_{step:06d}"
        unfinished = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
        for place, picture in enumerate(to_pils(images.detach().cpu())):
            write_png(unfinished / f"{place}.png", picture, {"run": self.path.name, "step": step})
        shutil.rmtree(folder, ignore_errors=True)  # the same step again, after a resume
        os.replace(unfinished, folder)

    def sample_strip(self) -> list[tuple[int, list[Path]]]:
        """(step, its pictures in order), by step."""
        folders = sorted((self.path / "samples").glob("step_*"))
        return [
            (int(folder.name.removeprefix("step_")), sorted(folder.glob("*.png"), key=lambda path: int(path.stem))) for folder in folders
        ]

    def delete(self) -> None:
        """Removes the folder, where it is there; it is renamed first, so that half a run is never seen. OSError where it cannot be."""
        gone = self.path.with_name(f".{self.path.name}.deleted")
        with suppress(FileNotFoundError):  # removed by hand, or by a deletion that a kill ended
            os.replace(self.path, gone)
        shutil.rmtree(gone, ignore_errors=True)


def new_run_id() -> str:
    """Sorts by time, and two of the same second differ."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"


def _images(request: TrainRequest) -> dict[str, Tensor]:
    given = {name: getattr(request, name) for name in IMAGES}
    return {name: images.detach().cpu().float().clone().contiguous() for name, images in given.items() if images is not None}

"""A lab for the One-shot tab: jobs are rows that a test writes, and their folders are filled by the tests or by tasks in the foreground."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from PIL import Image

from core.adaptation.generated import FACTS
from core.adaptation.likeness import LIKENESS
from core.adaptation.oneshot_jobs import GENERATED, PERSONALISED
from core.data.labelled_layouts import METADATA
from core.data.png import write_png
from core.jobs.runs import RunFolder
from core.models.clip_tokenizer import clip_tokenizer
from tests.ui.adapt_lab import AdaptLab, Row

CROP = 16


class OneShotLab(AdaptLab):
    """With a text-to-image model that is only a size and a tokenizer."""

    def text_to_image(self) -> SimpleNamespace:
        return SimpleNamespace(image_size=CROP, tokenizer=clip_tokenizer(16))

    def events(self, id: str) -> list[dict[str, Any]]:
        return RunFolder(self.get(id).folder).numbers()

    def sample_strip(self, id: str) -> list[tuple[int, list[Path]]]:
        return RunFolder(self.get(id).folder).sample_strip()

    def save_now(self, id: str) -> None:
        self.asked_for.append(("save", id))


def learned(row: Row, steps: tuple[int, ...] = (100, 200)) -> None:
    """What a personalisation leaves behind."""
    for step in steps:
        path = row.folder / PERSONALISED / f"step_{step:06d}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"weights")
    row.state, row.step, row.total, row.finished = "done", steps[-1], steps[-1], 2.0


def drawn(row: Row, variety: float = 0.4) -> None:
    """What a generation leaves behind: each class's pictures, the first two of them nearly the same."""
    out = row.folder / GENERATED
    names = [name for name, count in row.settings["table"] for _ in range(count)]
    for place, _ in enumerate(names):
        write_png(out / f"{place:05d}.png", Image.new("RGB", (CROP, CROP), (place * 20 % 255, 90, 90)), {})
    (out / FACTS).write_text(json.dumps({"pictures": [[name, name, place] for place, name in enumerate(names)]}))
    (out / METADATA).write_text("file_name,class,prompt,seed\n")
    likeness = {"variety": variety, "measure": "fake", "near_duplicate_pairs": 1, "near_duplicates": [["00000.png", "00001.png", 0.01]]}
    (out / LIKENESS).write_text(json.dumps(likeness))
    row.state, row.step, row.total, row.finished = "done", len(names), len(names), 2.0

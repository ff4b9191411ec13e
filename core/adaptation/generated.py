"""A set of generated pictures on disk: a PNG each with its request, and a metadata.csv that says class, prompt and seed.

Whatever PNG is there is done, so a run that was killed only makes what is missing. Pictures go in fixed batches, picture i with the seed
`seed + i`. A folder holds the pictures and, beside them,
generation.json  everything that they depend on      metadata.csv  a row a picture, written last
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.images import to_pils
from core.data.labelled_layouts import METADATA
from core.data.png import write_png
from core.data.text_files import write_text
from core.methods.datum_generate import Picture, drawn
from core.methods.datum_settings import GenerateSettings
from core.models.text_to_image import TextToImage
from core.types import Context, ShiftlabError, StepEvent

FACTS = "generation.json"
RECORD_VERSION = 1  # of the request in a PNG, the same as the page's


@dataclass(frozen=True)
class Generation:
    """Which pictures a model draws. made_with: what the record says of the model, plain JSON. batch: pictures at once."""

    pictures: Sequence[Picture]
    model: TextToImage
    settings: GenerateSettings
    made_with: dict[str, Any]
    batch: int = 16

    def facts(self) -> dict[str, Any]:
        """Everything that the pictures depend on, as JSON."""
        return {
            "settings": self.settings.model_dump(mode="json"),
            **self.made_with,
            "batch": self.batch,
            "pictures": [[picture.name, picture.prompt, picture.seed] for picture in self.pictures],
        }

    def record(self, picture: Picture) -> dict[str, Any]:
        """The request in a picture's PNG."""
        kept = {"version": RECORD_VERSION, "method": self.settings.method, "settings": self.settings.model_dump(mode="json")}
        return {**kept, **self.made_with, "class": picture.name, "prompt": picture.prompt, "seed": picture.seed}


def generate_set(generation: Generation, out: Path, context: Context) -> Iterator[StepEvent]:
    """Yields a "generate" event a batch, counting pictures.

    Event numbers: images_per_s, seconds_left. Raises ShiftlabError for a folder that holds another set, Stopped when asked to stop.
    """
    pictures, batch = generation.pictures, generation.batch
    _begin(out, generation.facts())
    batches = [pictures[begin : begin + batch] for begin in range(0, len(pictures), batch)]
    missing = [[picture for picture in part if not (out / file_name(picture)).is_file()] for part in batches]
    total = len(pictures)
    done = resumed = total - sum(map(len, missing))
    yield StepEvent("generate", done, total, note=f"{done} of {total} pictures were there already." if done else "")
    began = time.perf_counter()
    for part, lacking in zip(batches, missing, strict=True):
        if not lacking:
            continue
        prompts, seeds = [picture.prompt for picture in part], [picture.seed for picture in part]
        images = drawn(generation.model, prompts, seeds, generation.settings.steps, generation.settings.guidance, context)
        for picture, image in zip(part, to_pils(images.cpu()), strict=True):
            if picture in lacking:
                write_png(out / file_name(picture), image, generation.record(picture))
        done += len(lacking)
        pace = (done - resumed) / (time.perf_counter() - began)
        yield StepEvent("generate", done, total, {"images_per_s": pace, "seconds_left": (total - done) / pace})
    write_text(out / METADATA, _table(pictures))


def file_name(picture: Picture) -> str:
    return f"{picture.place:05d}.png"


def is_generated(out: Path) -> bool:
    """Whether the folder holds a whole generated set."""
    return (out / METADATA).is_file()


def generated_pictures(out: Path) -> list[dict[str, str]]:
    """The rows of a whole set, in order: file_name, class, prompt, seed. Raises ShiftlabError where it is not whole."""
    if not is_generated(out):
        raise ShiftlabError(f"The generated set in {out} is not complete. Resume its run, and go on when it is done.")
    return list(csv.DictReader(io.StringIO((out / METADATA).read_text(encoding="utf-8"))))


def _begin(out: Path, facts: dict[str, Any]) -> None:
    """Notes what will be made. Pictures of another request must not stay among those of this one."""
    path = out / FACTS
    if not path.is_file():
        write_text(path, json.dumps(facts, indent=2) + "\n")
    elif json.loads(path.read_text(encoding="utf-8")) != facts:
        raise ShiftlabError(f"{out} holds pictures of another request (other weights, classes, settings or seeds). Choose another folder.")


def _table(pictures: Sequence[Picture]) -> str:
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["file_name", "class", "prompt", "seed"])
    table.writerows([file_name(picture), picture.name, picture.prompt, picture.seed] for picture in pictures)
    return text.getvalue()

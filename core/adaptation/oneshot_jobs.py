"""DATUM's first two stages as jobs of the lab's queue: `lab.start(PersonaliseTask(…), name)`, `lab.start(GenerateTask(…), name)`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from core.adaptation.generated import Generation, generate_set, generated_pictures
from core.adaptation.likeness import likeness, measure_of
from core.data.edits import load_edit, save_edit
from core.data.images import decode_image, whole_tensor
from core.data.png import write_png
from core.jobs.tasks import Task, Tools
from core.methods.datum_domainstudio import PromptDomainStudioTune, tune_domainstudio
from core.methods.datum_generate import plan
from core.methods.datum_personalise import personalise
from core.methods.datum_settings import TOKEN, DatumTune, GenerateSettings
from core.methods.datum_student import personalised
from core.models.fingerprint import weights_hash
from core.types import Context, Edit, ShiftlabError, StepEvent

SHOTS = "shots"  # folder of the target images in a personalisation's run folder
PERSONALISED = "personalised"  # folder of its kept checkpoints
EDIT = "edit.safetensors"  # the last of them, where the lab looks for edits
GENERATED, UNPERSONALISED = "generated", "unpersonalised"  # folders of the pictures, and of those the model drew before
UNTOUCHED = f"The prompts lack {TOKEN}, so the pictures show little of what was learned. Put it into them."


class PersonaliseTask(Task):
    """A text-to-image model learns a target image, or with DomainStudio's settings a few.

    The run's folder gets the images as they went in, the kept checkpoints (see `kept_checkpoints`) and the last one as the run's edit.
    """

    kind: ClassVar[str] = "personalise"
    images: tuple[Path, ...] = Field(min_length=1)
    name: str = "target"
    settings: DatumTune | PromptDomainStudioTune = DatumTune()
    seed: int = Field(0, ge=0)

    def run(self, folder: Path, tools: Tools) -> Iterator[StepEvent]:
        shots = [whole_tensor(decode_image(path)) for path in self._brought(folder)]

        def keep(step: int, edit: Edit) -> None:
            save_edit(folder / PERSONALISED / f"step_{step:06d}.safetensors", edit, {})

        if isinstance(self.settings, DatumTune):
            events = personalise(shots[0], self.settings, self.name, self.seed, tools.context, keep)
        else:
            events = tune_domainstudio(shots, self.settings, self.name, self.seed, tools.context, keep)
        for event in events:
            if isinstance(event, Edit):
                save_edit(folder / EDIT, event, {})
            else:
                yield event

    def _brought(self, folder: Path) -> list[Path]:
        """The images in the run's folder, copied there at its first start: the run needs the originals no more."""
        copies = [folder / SHOTS / f"{place}.png" for place in range(len(self.images))]
        for copy, original in zip(copies, self.images, strict=True):
            if not copy.is_file():
                write_png(copy, decode_image(original), {})
        return copies


class GenerateTask(Task):
    """Pictures by prompts over a table of classes. weights: a kept checkpoint, or None for the model as it is.

    The run's folder gets them under "generated", with likeness.json beside them where `compared` pictures drawn by the model as it was,
    under "unpersonalised", say how much they vary.
    """

    kind: ClassVar[str] = "generate"
    table: tuple[tuple[str, int], ...]
    weights: Path | None = None
    settings: GenerateSettings = GenerateSettings()
    seed: int = Field(0, ge=0)
    batch: int = Field(16, ge=1, le=256)
    compared: int = Field(32, ge=0, le=1000)

    def run(self, folder: Path, tools: Tools) -> Iterator[StepEvent]:
        context, model = tools.context, tools.context.text_to_image()
        edit = kept_model(self.weights) if self.weights is not None else None
        pictures = plan(self.table, self.settings, _token(edit), self.seed)
        if edit is not None and TOKEN not in self.settings.template:
            yield StepEvent("generate", 0, len(pictures), note=UNTOUCHED)
        by_model = {"models": {"text_to_image": f"{model.name} {model.fingerprint}"}}
        drawing = model if edit is None else personalised(model, edit)
        made_with = {**by_model, "edit": _told(edit)}
        yield from generate_set(Generation(pictures, drawing, self.settings, made_with, self.batch), folder / GENERATED, context)
        if edit is None or self.compared < 2 or len(pictures) < 2 or measure_of(context) is None:
            return
        plain = plan(self.table, self.settings, "", self.seed)[: self.compared]
        before = Generation(plain, model, self.settings, {**by_model, "edit": {}}, self.batch)
        for event in generate_set(before, folder / UNPERSONALISED, context):
            yield replace(event, phase="compare")
        yield _compared(folder, context)


def kept_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(step, file) of what a personalisation kept on its way, by step. Any of them can be a GenerateTask's weights."""
    return [(int(path.stem.removeprefix("step_")), path) for path in sorted((folder / PERSONALISED).glob("step_*.safetensors"))]


def kept_model(weights: Path) -> Edit:
    """What is in a kept checkpoint's file. Raises ShiftlabError where it is gone."""
    if not weights.is_file():
        raise ShiftlabError(f"There is no personalised model at {weights}. It may have been deleted with its run; choose another.")
    return load_edit(weights, {})


def _token(edit: Edit | None) -> str:
    return str(edit.card.settings.get("token", "")) if edit is not None else ""


def _told(edit: Edit | None) -> dict[str, Any]:
    """What a picture's record says of the edit: "step 200 was used"."""
    if edit is None:
        return {}
    return {
        "name": edit.card.name,
        "method": edit.card.method,
        "step": edit.card.metrics.get("step"),
        "weights": weights_hash(edit.weights),
    }


def _compared(folder: Path, context: Context) -> StepEvent:
    """The likeness of both sets, and a note on what it says."""
    names, compared = ([row["file_name"] for row in generated_pictures(folder / part)] for part in (GENERATED, UNPERSONALISED))
    found = likeness(folder / GENERATED, names, folder / UNPERSONALISED, compared, context)
    variety, pairs = found["variety"], found["near_duplicate_pairs"]
    note = f"The pictures vary {variety:.2f} times as much as the model's own; {pairs} pairs are nearly the same."
    return StepEvent("compare", len(compared), len(compared), {"variety": variety, "near_duplicate_pairs": float(pairs)}, note=note)

"""`python -m core segment`: segmenters that learn a source and adapt to a target known by one image, compared; and sets, looked at.

    python -m core segment source.zip --one-shot night.png --images night-set/generated --target night-labelled.zip --out comparison

It works in a folder as the lab's queue does: the same command, repeated, goes on where it was stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from core.adaptation.jobs import in_foreground
from core.adaptation.report import percent
from core.adaptation.segment import SEGMENT_ARMS
from core.adaptation.segment_jobs import SegmentTask
from core.adaptation.segment_results import mious, segment_gains
from core.adaptation.segment_settings import PRESETS, SegmentSettings
from core.cli.interrupt import interruptible
from core.cli.oneshot import MODEL_OPTIONS, oneshot_context
from core.cli.options import PREFIX, command, option, settings_from, settings_options
from core.cli.session import no_edits, save_index, told_to_end
from core.data.segmented import SegmentedSet, open_segmented, with_split
from core.jobs.machine import pick_device
from core.jobs.tasks import Tools
from core.methods import METHODS
from core.methods.datum_carry import CarrySettings
from core.models.precision import dtype_of
from core.models.segformer import SMALL
from core.models.zoo import find, mirror_folder
from core.types import Context

SET_HELP = "ZIP or folder with images and masks, or its index."
SOURCE = option("source", Path, None, "").replace(
    annotation=Annotated[Path, typer.Argument(metavar="SET", help=SET_HELP, show_default=False)], default=option("x", Path, None, "").empty
)
SPLIT_OPTIONS = [
    option("test", float, 0.2, "Share of the images drawn for testing, where the set gives no split.", min=0, max=0.9),
    option("split_seed", int, 0, "Of that draw.", min=0),
]
SEGMENT_OPTIONS = [
    SOURCE,
    option("one_shot", Path | None, None, "The target image.", show_default="none"),
    option("images", Path | None, None, "Folder or ZIP of unlabelled target images, as `generate` makes them.", show_default="none"),
    option("target", Path | None, None, "Labelled target scenes to measure on; with a train split they give the oracle."),
    option("weights", Path | None, None, "A personalised model, as `personalise` keeps them: it carries labelled scenes to the target."),
    option("carry", str, "{}", f"Settings of that as JSON: {', '.join(CarrySettings.model_fields)}."),
    option("arm", list[str], [], f"What to learn from: {', '.join(SEGMENT_ARMS)}.", show_default="what is given, but no oracle"),
    option("preset", Literal["night", "fog", "paper"], "night", "Settings to start from: embedded streets in a weather, or the paper's."),
    option("out", Path, Path("segmentation"), "Folder of the run and its report."),
    *SPLIT_OPTIONS,
    option("precision", str | None, None, "auto, fp32 or bf16; else the environment's SHIFTLAB_PRECISION, else auto."),
    *(given for given in MODEL_OPTIONS if given.name != "precision"),  # fp16 has no range for the gradients of a segmenter
]


def add_segment(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "segment", "Adapt a segmenter to a target known by one image, and compare.",
            [*SEGMENT_OPTIONS, *settings_options(SegmentSettings)], run_segment)  # fmt: skip
    out = option("out", Path | None, None, "File for the index (.jsonl), which `segment` takes in place of the set.", show_default="none")
    command(app, "scenes", "Read a segmentation set: what is in it, what was left out and why.", [SOURCE, *SPLIT_OPTIONS, out], scenes)


def run_segment(values: dict[str, Any]) -> None:
    """Trains, prints the tables and writes the report."""
    settings, arms = _settings(values), _arms(values)
    out = values["out"]
    out.parent.mkdir(parents=True, exist_ok=True)
    source = save_index(_split_set(values), out.with_name(f"{out.name}.source.jsonl"), out)
    target = open_segmented(values["target"]) if values["target"] is not None else None
    target_index = save_index(target, out.with_name(f"{out.name}.target.jsonl"), out) if target is not None else None
    given = {name: values[name].resolve() if values[name] is not None else None for name in ("one_shot", "images", "weights")}
    task = SegmentTask(source=source, target=target_index, arms=arms, settings=settings, carry=_carry(values), **given)
    device = pick_device(values["device"])
    with interruptible() as stopped:
        context = Context(None, device=device, dtype=dtype_of(values["precision"], device), should_stop=stopped)
        if "carried" in arms:
            context.text_to_image = lambda: oneshot_context(values).text_to_image()
        told_to_end(in_foreground(task, out, out.name, Tools(context, METHODS, no_edits)))
    for table in (mious(out), segment_gains(out)):
        if len(table):
            print(percent(table).to_string(index=False), end="\n\n")
    print(*task.export(out, out / "report", out.name), sep="\n")


def scenes(values: dict[str, Any]) -> None:
    """Counts images a split and pixels a class, and everything that was left out."""
    found = _split_set(values)
    total = max(1, sum(found.pixels.values()))
    counts = ", ".join(f"{len(found.split(name))} {name}" for name in ("train", "validation", "test"))
    print(f"{found.source}: {len(found)} images: {counts}")
    for name, pixels in found.pixels.items():
        print(f"{found.classes.classes.get(name, '–'):>4}  {name or '(no class)':<16}  {100 * pixels / total:6.2f} %")
    for line in [*found.report.notes, *(f"left out: {name}: {why}" for name, why in found.report.left_out)]:
        print(line)
    if values["out"] is not None:
        print(found.save(values["out"]))


def _settings(values: dict[str, Any]) -> SegmentSettings:
    """The preset's settings with what was given in their place; the network as a folder on this machine."""
    of_preset = {f"{PREFIX}{name}": value for name, value in PRESETS[values["preset"]].segment.items()}
    settings: Any = settings_from(SegmentSettings, {**values, **{key: value for key, value in of_preset.items() if values[key] is None}})
    if settings.model == SMALL:
        return settings
    folder = find(settings.model, values["home"], mirror_folder(values["models"]))
    return settings.model_copy(update={"model": str(folder.resolve())})


def _carry(values: dict[str, Any]) -> CarrySettings:
    """The preset's, with what --carry gives in their place. Raises typer.BadParameter for what are no such settings."""
    try:
        given = CarrySettings.model_validate_json(values["carry"]).model_dump(exclude_unset=True)
    except ValidationError as error:
        fault = error.errors()[0]
        raise typer.BadParameter(f"--carry: {' '.join(map(str, fault['loc']))}: {fault['msg']}.") from error
    return CarrySettings(**{**PRESETS[values["preset"]].carry, **given})


def _arms(values: dict[str, Any]) -> tuple[Any, ...]:
    """Those named; else all but the oracle that there is something for."""
    if unknown := [arm for arm in values["arm"] if arm not in SEGMENT_ARMS]:
        raise typer.BadParameter(f"--arm is one of {', '.join(SEGMENT_ARMS)}, not {unknown[0]!r}.")
    given = {"one_shot": values["one_shot"], "generated": values["images"], "carried": values["one_shot"] and values["weights"]}
    return tuple(values["arm"]) or ("source", *(arm for arm, path in given.items() if path is not None))


def _split_set(values: dict[str, Any]) -> SegmentedSet:
    """The set that the command names, each image in a split."""
    return with_split(open_segmented(values["source"]), values["test"], values["split_seed"])

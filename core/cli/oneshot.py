"""`python -m core personalise` and `generate`: a text-to-image model learns one image, and draws a target set with what it learned.

    python -m core personalise night.png --out night
    python -m core generate night/personalised/step_000200.safetensors --class person=20 --class rider=20 --out night-set

Each works in a folder as the lab's queue does: the same command, repeated, goes on where it was stopped.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from core.adaptation.jobs import in_foreground
from core.adaptation.likeness import read_likeness
from core.adaptation.oneshot_jobs import GENERATED, GenerateTask, PersonaliseTask, kept_checkpoints
from core.cli.interrupt import interruptible
from core.cli.options import MOST_SEED, command, option, paths_argument, settings_from, settings_options
from core.cli.session import (
    CHECKPOINTS,
    DEVICE,
    HOME,
    MIRROR,
    TEXT_TO_IMAGE_OPTION,
    no_edits,
    picture_paths,
    text_to_image,
    told_to_end,
)
from core.jobs.machine import pick_device
from core.jobs.tasks import Tools
from core.methods import METHODS
from core.methods.datum_domainstudio import PromptDomainStudioTune
from core.methods.datum_settings import DatumTune, GenerateSettings
from core.metrics.perceptual import perceptual_for
from core.models.precision import dtype_of
from core.models.shelf import Shelf
from core.models.zoo import mirror_folder
from core.types import Context, Settings, ShiftlabError

EACH = 20  # pictures of a class whose number is not said
MODEL_OPTIONS = [
    TEXT_TO_IMAGE_OPTION,
    option("precision", str | None, None, "auto, fp32, bf16 or fp16; else the environment's SHIFTLAB_PRECISION, else auto."),
    DEVICE,
    HOME,
    CHECKPOINTS,
    MIRROR,
]
SEED = option("seed", int, 0, "Of everything random in it.", min=0, max=MOST_SEED)
PERSONALISE_OPTIONS = [
    option("name", str, "target", "Name of what is learned."),
    SEED,
    option("out", Path, Path("personalised"), "Folder of the run: checkpoints along the way, and the last one as edit.safetensors."),
]
WEIGHTS = Annotated[Path | None, typer.Argument(metavar="WEIGHTS", help="A kept checkpoint; without one, the model as it is.")]
CLASSES = Annotated[list[str], typer.Option("--class", help=f"CLASS or CLASS=COUNT, one a class; {EACH} pictures where no number is said.")]
GENERATE_OPTIONS = [
    option("weights", Path | None, None, "").replace(annotation=WEIGHTS),
    option("classes", list[str], [], "").replace(annotation=CLASSES),
    option("seed", int, 0, "Of the first picture; the next ones count on.", min=0, max=MOST_SEED),
    option("batch", int, 16, "Pictures at once. The same for every repetition.", min=1, max=256),
    option("compared", int, 32, "Pictures drawn by the model as it was, to tell how much the set varies. 0: none.", min=0, max=1000),
    option("out", Path, Path("generated"), "Folder of the run; the pictures lie in its folder “generated”."),
]


def add_oneshot(app: typer.Typer) -> None:
    """Adds the commands."""
    image = paths_argument("images", "IMAGE", "The target image.")
    images = paths_argument("images", "IMAGES...", "Target images: files, or folders of them.")
    for name, help, given, cls in (
        ("personalise", "Teach a text-to-image model one target image (DATUM).", image, DatumTune),
        ("personalise-few", "Teach a text-to-image model about ten target images (DomainStudio).", images, PromptDomainStudioTune),
    ):
        options = [given, *PERSONALISE_OPTIONS, *settings_options(cls), *MODEL_OPTIONS]
        command(app, name, help, options, partial(personalise, settings_class=cls))
    options = [*GENERATE_OPTIONS, *settings_options(GenerateSettings), *MODEL_OPTIONS]
    command(app, "generate", "Draw pictures of classes with a personalised text-to-image model.", options, generate)


def personalise(values: dict[str, Any], settings_class: type[Settings]) -> None:
    """Trains, and prints the kept checkpoints."""
    settings: Any = settings_from(settings_class, values)
    images = tuple(path.resolve() for path in picture_paths(values["images"]))
    if settings_class is DatumTune and len(images) > 1:
        raise ShiftlabError(f"DATUM learns one image, and {len(images)} are named. Name one, or use `personalise-few`.")
    _run(PersonaliseTask(images=images, name=values["name"], settings=settings, seed=values["seed"]), values)
    for step, path in kept_checkpoints(values["out"]):
        print(f"{path}  step {step}")


def generate(values: dict[str, Any]) -> None:
    """Draws, and prints what is said of the set."""
    settings: Any = settings_from(GenerateSettings, values)
    weights = values["weights"].resolve() if values["weights"] is not None else None
    table = tuple(map(counted, values["classes"]))
    task = GenerateTask(
        table=table, weights=weights, settings=settings, seed=values["seed"], batch=values["batch"], compared=values["compared"]
    )
    _run(task, values)
    out = values["out"] / GENERATED
    found = read_likeness(out)
    if found:
        print(f"variety {found['variety']:.2f}, {found['near_duplicate_pairs']} near-duplicate pairs, by {found['measure']}")
    print(out)


def counted(text: str) -> tuple[str, int]:
    """A class and how many pictures of it: "traffic light=30" or "traffic light"."""
    name, _, count = text.partition("=")
    if count and not count.strip().isdecimal():
        raise typer.BadParameter(f"--class {text!r} is not like “car=20”.")
    return name.strip(), int(count) if count else EACH


def _run(task: PersonaliseTask | GenerateTask, values: dict[str, Any]) -> None:
    """The task in its folder; Ctrl-C once saves and stops after the present step."""
    with interruptible() as stopped:
        context = oneshot_context(values)
        context.should_stop = stopped
        values["out"].parent.mkdir(parents=True, exist_ok=True)
        told_to_end(in_foreground(task, values["out"], values["out"].name, Tools(context, METHODS, no_edits)))


def oneshot_context(values: dict[str, Any]) -> Context:
    """The text-to-image model that the options name, and the identity encoder, by whose features pictures are compared."""
    device = pick_device(values["device"])
    shelf = Shelf(values["home"], values["checkpoints"], device, dtype_of(values["precision"], device), mirror_folder(values["models"]))
    model = text_to_image(values["text_to_image"], shelf)
    perceptual = perceptual_for(shelf.load("identity"))
    return Context(None, perceptual=perceptual, device=device, text_to_image=lambda: model)

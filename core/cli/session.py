"""What the commands share: the options that say which models to use, the models opened, pictures read, progress told."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from inspect import Parameter
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import open_clip
from PIL import Image
from torch import Tensor

from core.cli.options import option
from core.data.images import decode_image, to_tensor
from core.data.measured import MeasuredStore
from core.data.trajectories import TrajectoryStore
from core.jobs.machine import pick_device
from core.methods.datum import DatumEdit
from core.metrics.perceptual import perceptual_for
from core.models.base import Base
from core.models.clip import Clip
from core.models.clip_hub import load_open_clip
from core.models.edit_shelf import SECOND
from core.models.files import open_base, open_edit
from core.models.identity import Identity
from core.models.precision import dtype_of
from core.models.second_bases import as_edit, second_bases
from core.models.shelf import TEXT_TO_IMAGE, Shelf
from core.models.text_to_image import TextToImage
from core.models.zoo import find, mirror_folder, models_folder
from core.types import Context, Edit, ShiftlabError, StepEvent

ROOT = Path(__file__).resolve().parents[2]
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
NONE = "none"
NO_TEXT_TO_IMAGE = "There is no text-to-image model ({}). Name a Stable Diffusion 1.x folder with --text-to-image."
T = TypeVar("T")

HOME = option("home", Path, ROOT / "runs", "Folder of runs, fetched models and caches.", show_default="runs/")
MIRROR = option("models", Path | None, None, "Folder that stands in for the model hub; else the environment's SHIFTLAB_MODELS.")
DEVICE = option("device", str | None, None, "cpu, cuda, cuda:N or mps.", show_default="the best that is there")
IMAGE_SIZE = option("image_size", int | None, None, "Pixels a side of a base from a file that does not say it.", min=8, max=2048)
HEAD_CHANNELS = option("head_channels", int | None, None, "Channels a head of a guided-diffusion base that does not say it.", min=1)
CHECKPOINTS = option("checkpoints", Path, ROOT / "checkpoints", "Folder of the embedded models and edits.", show_default="checkpoints/")
TEXT_TO_IMAGE_OPTION = option(
    "text_to_image", str | None, None, "Stable Diffusion 1.x: a folder, or a name as `models list` has it.", show_default="the home's"
)
MODEL_OPTIONS = [
    option("base", str | None, None, "Base: a folder, a checkpoint file, or a name as `models list` has it.", show_default="the home's"),
    option("clip", str | None, None, "CLIP: a folder, a name, open_clip's MODEL:TAG or MODEL:FILE, or none.", show_default="the home's"),
    option("identity", str | None, None, "Identity encoder: a folder, FaceNet's weights file, a name, or none.", show_default="the home's"),
    option("precision", str | None, None, "auto, fp32, bf16 or fp16; else the environment's SHIFTLAB_PRECISION, else auto."),
    DEVICE,
    IMAGE_SIZE,
    HEAD_CHANNELS,
    HOME,
    CHECKPOINTS,
    MIRROR,
]


def model_options(method: str) -> list[Parameter]:
    """The options that say which models a method's command uses: DATUM's has one model more."""
    return [*([TEXT_TO_IMAGE_OPTION] if method == DatumEdit.method else []), *MODEL_OPTIONS]


def open_context(values: dict[str, Any], **overrides: Any) -> Context:
    """The models that the options name, ready to use; the text-to-image model is loaded when it is first asked for.

    Raises ShiftlabError where one is not there or cannot be loaded.
    """
    device = pick_device(values["device"])
    dtype = dtype_of(values["precision"], device)
    shelf = Shelf(values["home"], values["checkpoints"], device, dtype, mirror_folder(values["models"]))
    base = _base(values, shelf)
    clip, identity = _clip(values, shelf), _identity(values, shelf)
    context = Context(
        base=base,
        clip=clip,
        identity=identity,
        perceptual=perceptual_for(identity),
        store=TrajectoryStore(values["home"] / "cache" / "trajectories"),
        measured=MeasuredStore(values["home"] / "cache" / "measured"),
        text_to_image=cache(lambda: text_to_image(values.get("text_to_image"), shelf)),
        device=device,
        dtype=dtype,
    )
    return dataclasses.replace(context, **overrides)


def text_to_image(named: str | None, shelf: Shelf) -> TextToImage:
    """The text-to-image model that is named, else the home's. Raises ShiftlabError where there is none or it cannot be loaded."""
    model = shelf.open(TEXT_TO_IMAGE, find(named, shelf.home, shelf.mirror)) if named else shelf.load(TEXT_TO_IMAGE)
    if model is None:
        raise ShiftlabError(NO_TEXT_TO_IMAGE.format(shelf.why(TEXT_TO_IMAGE)))
    return model


def _base(values: dict[str, Any], shelf: Shelf) -> Base:
    if values["base"] is None:
        base = shelf.load("base")
        if base is None:
            raise ShiftlabError(f"No base is loaded ({shelf.why('base')}). Name one with --base, or run `make pretrain`.")
        return base
    path = find(values["base"], shelf.home, shelf.mirror)
    shape = {name: values[name] for name in ("image_size", "head_channels")}
    return open_base(path, device=shelf.device, dtype=shelf.dtype, **shape)


def _clip(values: dict[str, Any], shelf: Shelf) -> Clip | None:
    reference = values["clip"]
    if reference is None or reference == NONE:
        return None if reference == NONE else shelf.load("clip")
    name, _, tag = reference.partition(":")
    if not tag or open_clip.get_model_config(name) is None:
        return shelf.open("clip", find(reference, shelf.home, shelf.mirror))
    fetched = None if Path(tag).is_file() else _fetched(reference, shelf)
    return shelf.open("clip", fetched) if fetched else load_open_clip(name, tag, device=shelf.device)


def _fetched(reference: str, shelf: Shelf) -> Path | None:
    """Where open_clip's MODEL:TAG lies in the home or the mirror, or None."""
    try:
        return find(reference, shelf.home, shelf.mirror)
    except ShiftlabError:  # the hub's cache may have it, and load_open_clip has its own words where nothing does
        return None


def _identity(values: dict[str, Any], shelf: Shelf) -> Identity | None:
    reference = values["identity"]
    if reference is None or reference == NONE:
        return None if reference == NONE else shelf.load("identity")
    return shelf.open("identity", find(reference, shelf.home, shelf.mirror))


def read_edit(reference: str, values: dict[str, Any], base: Base, *, any_base: bool = False, **prompts: str) -> tuple[str, Edit]:
    """(key as the page has it, edit): a file, a shipped edit's name, a run's id, or base/NAME for a second base that is here.

    prompts: for files that do not say their own.
    """
    if reference.startswith(SECOND):
        return reference, _second_base(reference.removeprefix(SECOND), values, base)
    path = Path(reference).expanduser()
    places = {
        str(path): path,
        f"shipped/{reference}": values["checkpoints"] / "edits" / f"{reference}.safetensors",
        f"brought/{reference}": values["home"] / "edits" / f"{reference}.safetensors",
        f"run/{reference}": values["home"] / "runs" / reference / "edit.safetensors",
    }
    found = next(((key, place) for key, place in places.items() if place.is_file()), None)
    if found is None:
        raise ShiftlabError(f"There is no edit {reference!r}. Name a file, a shipped edit, or the id of a finished run.")
    return found[0], open_edit(found[1], base, any_base=any_base, **prompts)


def _second_base(name: str, values: dict[str, Any], base: Base) -> Edit:
    """A base of the home, or the embedded one by its folder's name "base", as what DDIB decodes with."""
    folder = values["checkpoints"] / name if name == "base" else models_folder(values["home"]) / name
    for _, card in second_bases(base, [folder]):
        return as_edit(folder, card)
    raise ShiftlabError(f"There is no base {name!r} that has the network of {base.name}. `python -m core models list` tells what is here.")


def no_edits(key: str) -> Edit:
    """The edits of a task that applies none."""
    raise ShiftlabError(f"This task applies no edit of the lab, so {key!r} is of no use to it.")


def picture_paths(given: Sequence[Path]) -> list[Path]:
    """The pictures named, a folder standing for those in it by name. Raises ShiftlabError where there is none."""
    paths: list[Path] = []
    for path in given:
        paths += sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES) if path.is_dir() else [path]
    if not paths:
        raise ShiftlabError("There are no pictures. Name picture files, or a folder that holds some.")
    return paths


def read_pictures(paths: Sequence[Path], size: int) -> Tensor:
    """`(N, 3, size, size)` in [-1, 1]. Raises ShiftlabError that names the file which is no picture."""
    return to_tensor([read_picture(path) for path in paths], size)


def read_picture(path: Path) -> Image.Image:
    """A picture as it is. Raises ShiftlabError that names the file which is none."""
    try:
        return decode_image(path)
    except ShiftlabError as error:
        raise ShiftlabError(f"{path}: {error}") from error


def save_index(found: Any, path: Path, run: Path) -> Path:
    """Writes the index of a labelled or segmentation set, from which the run in a folder reads it.

    Raises ShiftlabError where that run was begun with another set: what it has learned would be taken for this one's.
    """
    fresh = found.save(path.with_name(f".{path.name}"))
    if run.exists() and path.is_file() and fresh.read_bytes() != path.read_bytes():
        fresh.unlink()
        raise ShiftlabError(f"{run} holds a run of another set, or of one that has changed since. Choose another folder.")
    fresh.replace(path)
    return path.resolve()


def told(events: Iterator[StepEvent | T]) -> T:
    """Walks through the events, telling each phase's progress on stderr, and returns what is no event."""
    line = ""
    live = sys.stderr.isatty()
    for event in events:
        if not isinstance(event, StepEvent):
            if live and line:
                print(file=sys.stderr)
            return event
        due = live or event.note or event.step in (1, event.total) or event.step % max(1, event.total // 10) == 0
        if due:
            numbers = "  ".join(f"{name} {value:.4g}" for name, value in event.numbers.items() if name != "bytes")
            new = f"{event.phase} {event.step}/{event.total}  {numbers}  {event.note}".rstrip()
            print(f"\r{new:<{len(line)}}" if live else new, end="" if live else "\n", file=sys.stderr, flush=True)
            line = new
    raise ShiftlabError("It ended without a result. Start it again.")


def told_to_end(events: Iterator[StepEvent]) -> None:
    """The same for work whose result lies on disk."""
    told(chain(events, (None,)))

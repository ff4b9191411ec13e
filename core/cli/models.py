"""`python -m core models`: what there is, what a file is, conversion, downloads, computed memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.memory import computed_table, measured_table
from core.cli.session import CHECKPOINTS, DEVICE, HEAD_CHANNELS, HOME, IMAGE_SIZE, MIRROR, read_edit, told
from core.data.edit_mean import mean_edit
from core.data.edits import save_edit
from core.jobs.machine import pick_device
from core.models.base import Base
from core.models.convert import convert_to_checkpoint, convert_to_folder
from core.models.download import download
from core.models.facts import Facts
from core.models.files import inspect
from core.models.identity_bounds import measure_bounds
from core.models.shelf import Shelf
from core.models.zoo import entry_of, find, in_mirror, installed, mirror_folder, remove, zoo
from core.types import ShiftlabError

MEGABYTE = 10**6
Home = HOME.annotation
Mirror = MIRROR.annotation
ImageSize = IMAGE_SIZE.annotation
HeadChannels = HEAD_CHANNELS.annotation
Device = DEVICE.annotation
Checkpoints = CHECKPOINTS.annotation
NAME_HELP = "A name as `models list` has it, a hub id ([text-to-image:]owner/repository), or a CLIP as open_clip has it (MODEL:TAG)."
Name = Annotated[str, typer.Argument(help=NAME_HELP, show_default=False)]
ClipName = Annotated[str, typer.Option(help="open_clip's name of the model whose weights a file holds.", show_default="none")]

models_app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Models: list, inspect, convert, download, remove; bounds and memory."
)


@models_app.command("list")
def list_models(home: Home = HOME.default, models: Mirror = None) -> None:
    """List the models that can be fetched by name, and those that are here."""
    mirror = mirror_folder(models)
    own = {model.name: model for model in installed(home)}
    for entry in zoo():
        state = "here" if entry.name in own else "in the mirror" if in_mirror(entry, mirror) else "to fetch"
        print(f"{entry.name:<24} {entry.kind:<9} {state:<13} {entry.megabytes or '?':>5} MB  {entry.image_size} px  {entry.title}")
        print(f"{'':<24} {entry.source}  licence: {entry.licence}")
    for model in own.values():
        if model.name not in {entry.name for entry in zoo()}:
            print(f"{model.name:<24} {model.kind:<9} {'here':<13} {model.bytes // MEGABYTE:>5} MB  {model.card.get('name', '')}")


@models_app.command("inspect")
def inspect_model(
    model: Annotated[str, typer.Argument(help="A file, a folder, or the name of a fetched model.", show_default=False)],
    image_size: ImageSize = None,
    head_channels: HeadChannels = None,
    clip_name: ClipName = "",
    home: Home = HOME.default,
    models: Mirror = None,
) -> None:
    """Say what a file or folder is, without using it; refuse it with the reason where it cannot be used."""
    path = find(model, home, mirror_folder(models))
    _show(inspect(path, image_size=image_size, head_channels=head_channels, clip_name=clip_name))


@models_app.command("convert")
def convert(
    source: Annotated[str, typer.Argument(help="A checkpoint, a folder, or the name of a fetched model.", show_default=False)],
    target: Annotated[Path, typer.Argument(help="A new folder; for the way back a .ckpt, .pt or .safetensors file.", show_default=False)],
    name: Annotated[str, typer.Option(help="For the card.", show_default="the source's")] = "",
    domain: Annotated[str, typer.Option(help='What its images show, for the card, such as "photo".', show_default="empty")] = "",
    image_size: ImageSize = None,
    head_channels: HeadChannels = None,
    home: Home = HOME.default,
    models: Mirror = None,
) -> None:
    """Turn a checkpoint into a diffusers folder in safetensors, or such a folder back into its family's own checkpoint."""
    path = find(source, home, mirror_folder(models))
    if path.is_dir() and target.suffix:
        print(convert_to_checkpoint(path, target))
    else:
        shape = {"image_size": image_size, "head_channels": head_channels}
        print(convert_to_folder(path, target, name=name, domain=domain, **shape))


@models_app.command("download")
def download_model(name: Name, home: Home = HOME.default, models: Mirror = None) -> None:
    """Fetch a model into the home. A download that was stopped goes on where it ended."""

    def events() -> Any:
        yield (yield from download(entry_of(name), home, mirror=mirror_folder(models)))

    print(told(events()))


@models_app.command("remove")
def remove_model(
    name: Annotated[str, typer.Argument(help="The name of a fetched model.", show_default=False)], home: Home = HOME.default
) -> None:
    """Delete a fetched model from the home."""
    remove(name, home)
    print(f"{name} is removed.")


@models_app.command("keep")
def keep_tuned(
    edit: Annotated[str, typer.Argument(help="A run's id, a shipped edit's name, or a file: of SDFT or DomainStudio.", show_default=False)],
    name: Annotated[str, typer.Option(help="Of the new base.", show_default="the edit's")] = "",
    domain: Annotated[str, typer.Option(help="What its images show.", show_default="the base's")] = "",
    home: Home = HOME.default,
    checkpoints: Checkpoints = CHECKPOINTS.default,
) -> None:
    """Keep what an edit makes of the home's base as a base of its own, which `--base` then names."""
    shelf, base = _shelf_and_base(home, checkpoints)
    _, tuned = read_edit(edit, {"home": home, "checkpoints": checkpoints}, base)
    print(shelf.keep_tuned(tuned, base, name, domain))


@models_app.command("mean")
def mean_of_edits(
    target: Annotated[Path, typer.Argument(help="A new .safetensors file.", show_default=False)],
    edits: Annotated[list[str], typer.Argument(help="Two edits or more: runs' ids, shipped edits' names, or files.", show_default=False)],
    name: Annotated[str, typer.Option(help="Of the new edit.", show_default="the first one's")] = "",
    home: Home = HOME.default,
    checkpoints: Checkpoints = CHECKPOINTS.default,
) -> None:
    """Write the mean of several edits of one base: several trainings towards one target often do better together than each."""
    if target.suffix != ".safetensors":
        raise ShiftlabError(f"{target} does not end in .safetensors. Name a file that does.")
    if target.exists():
        raise ShiftlabError(f"{target} is there already. Choose another name.")
    _, base = _shelf_and_base(home, checkpoints)
    read = [read_edit(edit, {"home": home, "checkpoints": checkpoints}, base)[1] for edit in edits]
    save_edit(target, mean_edit(read, name), base.state_dict())
    print(target)


def _shelf_and_base(home: Path, checkpoints: Path) -> tuple[Shelf, Base]:
    shelf = Shelf(home, checkpoints, pick_device("cpu"))
    base = shelf.load("base")
    if base is None:
        raise ShiftlabError(f"No base is loaded ({shelf.why('base')}). Run `make pretrain`, or choose one on the Models tab.")
    return shelf, base


@models_app.command("bounds")
def bounds(
    folder: Annotated[Path, typer.Argument(help="One folder a person in it, with two pictures or more of some.", show_default=False)],
    identity: Annotated[str | None, typer.Option(help="Encoder: a folder, FaceNet's file, or a name.", show_default="the home's")] = None,
    align: Annotated[bool, typer.Option(help="Find and align the face in each photograph; else pictures are taken whole.")] = True,
    device: Device = None,
    home: Home = HOME.default,
    checkpoints: Checkpoints = CHECKPOINTS.default,
    models: Mirror = None,
) -> None:
    """Measure an identity encoder's floor and ceiling on people whose pictures are known, and keep them in the home."""
    shelf = Shelf(home, checkpoints, pick_device(device), mirror=mirror_folder(models))
    encoder = shelf.open("identity", find(identity, home, shelf.mirror)) if identity else shelf.load("identity")
    if encoder is None:
        raise ShiftlabError(f"No identity encoder is loaded ({shelf.why('identity')}). Name one with --identity.")

    def events() -> Any:
        yield (yield from measure_bounds(encoder, folder, align))

    measured = told(events())
    shelf.keep_bounds(encoder, measured)
    print(f"{encoder.name}: {measured.said()}")


@models_app.command("memory")
def memory(device: Device = None) -> None:
    """Tell what the 256 px DDPM needs on the device: measured where it is a GPU, else computed, in float32."""
    chosen = pick_device(device)
    print(measured_table(chosen) if chosen.type == "cuda" else computed_table())


def _show(facts: Facts) -> None:
    print(f"{facts.path}: {facts.title}")
    parameters = f", {facts.parameters:,} parameters" if facts.parameters else ""
    rows = {
        "enables": facts.enables,
        "size": f"{facts.bytes / MEGABYTE:.1f} MB{parameters}",
        **({"fingerprint": facts.fingerprint} if facts.fingerprint else {}),
        **facts.details,
    }
    for what, value in rows.items():
        print(f"  {what:<14} {value}")
    for note in facts.notes:
        print(f"  note: {note}")

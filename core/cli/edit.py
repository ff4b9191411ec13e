"""`python -m core edit <method>`: pictures carried across with none, one or several edits, each written as a PNG that holds its request."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import torch
import typer
from torch import Tensor

from core.cli.options import MOST_SEED, command, option, paths_argument, settings_from, settings_options
from core.cli.session import model_options, open_context, picture_paths, read_edit, read_pictures, told
from core.data.images import decode_image, to_mask, to_pils
from core.data.png import write_png
from core.methods import METHODS, that_edit
from core.methods.datum import picture_side
from core.methods.sdedit import SDEditSettings
from core.methods.within_memory import edit_within_memory
from core.types import Context, Edit, EditRequest, EditResult, Settings, ShiftlabError

RECORD_VERSION = 1  # of the request in a PNG, the same as the page's, which reads these
OWN_OPTIONS = [
    paths_argument("pictures", "PICTURES...", "Picture files, or folders of them."),
    option("edit", list[str], [], "Edit: a file, a shipped edit's name, a run's id or base/NAME. Several mix; none reconstructs."),
    option("out", Path, Path("."), "Folder for the results.", show_default="here"),
    option("seed", int, 0, "Of the first picture; the next ones count on.", min=0, max=MOST_SEED),
    option("batch", int, 8, "Pictures at once.", min=1, max=1024),
    option("overwrite", bool, False, "Replace results that are there already."),
]

DRAWN_OPTIONS = [
    option("painted", Path | None, None, "Picture with strokes over it, redrawn in its place; or a folder of them.", show_default="none"),
    option("mask", Path | None, None, "Picture, white where it may change; or a folder of them.", show_default="none"),
]

edit_app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Carry pictures across with an edit; one command a method.")


def edit_pictures(values: dict[str, Any], name: str) -> None:
    """The command of one method."""
    method = METHODS[name]
    settings = settings_from(method.edit_settings, values)
    paths = picture_paths(values["pictures"])
    context = open_context(values)
    prompts = {key: getattr(settings, key, "") for key in ("reference_prompt", "target_prompt")}
    any_base = bool(getattr(settings, "any_base", False))
    read = [read_edit(reference, values, context.base, any_base=any_base, **prompts) for reference in values["edit"]]
    targets = _targets(paths, values["out"], [edit for _, edit in read], values["overwrite"])
    size = picture_side(settings, context)
    for begin in range(0, len(paths), values["batch"]):
        part = slice(begin, begin + values["batch"])
        images = read_pictures(paths[part], size)
        drawn = _drawn(values, paths[part], size)
        request = EditRequest(images, settings, tuple(edit for _, edit in read), values["seed"] + begin, **drawn)
        result: EditResult = told(edit_within_memory(method, request, context))
        for place, picture in enumerate(to_pils(result.images)):
            target, source = targets[part][place], paths[part][place]
            record = _record(settings, [key for key, _ in read], request.seed + place, source, context, result)
            write_png(target, picture, {**record, "scores": result.scores[place]})
            scores = "  ".join(f"{score} {value:.4f}" for score, value in result.scores[place].items())
            print(f"{target}  {scores}".rstrip())


def _drawn(values: dict[str, Any], paths: list[Path], size: int) -> dict[str, Tensor]:
    """Strokes `(B, 3, size, size)` and mask `(B, 1, size, size)` of these pictures, where the command takes them and was given some."""
    drawn = {}
    if values.get("painted") is not None:
        drawn["painted"] = read_pictures([_beside(values["painted"], path, "strokes") for path in paths], size)
    if values.get("mask") is not None:
        drawn["mask"] = torch.cat([to_mask(decode_image(_beside(values["mask"], path, "mask")), size) for path in paths])
    return drawn


def _beside(given: Path, picture: Path, what: str) -> Path:
    """The file itself, for every picture; of a folder the one that is named like the picture."""
    if not given.is_dir():
        return given
    found = next((file for file in sorted(given.iterdir()) if file.stem == picture.stem), None)
    if found is None:
        raise ShiftlabError(f"{given} has no {what} for {picture.name}. Add a picture called {picture.stem} there.")
    return found


def _targets(paths: list[Path], folder: Path, edits: list[Edit], overwrite: bool) -> list[Path]:
    """A file for each picture. Raises ShiftlabError before anything is computed where one is there or two would be the same."""
    words = "-".join(re.sub(r"[^\w]+", "-", edit.card.name).strip("-") for edit in edits) or "reconstruction"
    targets = [folder / f"{path.stem}-{words}.png" for path in paths]
    for place, target in enumerate(targets):
        if target in targets[:place]:
            raise ShiftlabError(f"Two pictures would both become {target}. Name pictures of different names.")
        if target.exists() and not overwrite:
            raise ShiftlabError(f"{target} is there already. Choose another folder with --out, or use --overwrite.")
    return targets


def _record(settings: Settings, edits: list[str], seed: int, source: Path, context: Context, result: EditResult) -> dict[str, Any]:
    """The request in the form of the page's own (ui/requests.py), which reads it back, with the fingerprints of all models."""
    return {
        "version": RECORD_VERSION,
        "method": settings.method,
        "settings": settings.model_dump(mode="json"),
        "edits": edits,
        "seed": seed,
        "base": context.base.fingerprint,
        "picture": {"name": source.name},
        "models": result.models,
        "note": result.note,
    }


for method_name, lab_method in that_edit().items():
    drawing = DRAWN_OPTIONS if issubclass(lab_method.edit_settings, SDEditSettings) else []
    parameters = [*OWN_OPTIONS, *drawing, *settings_options(lab_method.edit_settings), *model_options(method_name)]
    command(edit_app, method_name, f"Carry pictures across with {method_name}.", parameters, partial(edit_pictures, name=method_name))

"""`python -m core tune <method>`: an edit fine-tuned in the foreground, in a run folder as the page's, so that it can be resumed.

Ctrl-C once saves and stops after the present step (status 130); `python -m core tune resume RUN` goes on from there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from torch import Tensor

from core.cli.interrupt import interruptible
from core.cli.options import command, option, paths_argument, settings_from, settings_options
from core.cli.session import (
    MODEL_OPTIONS,
    TEXT_TO_IMAGE_OPTION,
    model_options,
    open_context,
    picture_paths,
    read_picture,
    read_pictures,
    told,
)
from core.data.checkpoints import FolderCheckpoints
from core.data.edits import save_edit
from core.jobs.runs import RunFolder, new_run_id
from core.methods import METHODS, that_train
from core.methods.datum import target_image
from core.methods.datum_settings import DatumTune
from core.methods.within_memory import train_within_memory
from core.models.fingerprint import fingerprints
from core.types import Context, Edit, Settings, ShiftlabError, StepEvent, Stopped, TrainRequest

FORMS = ("full", "half", "eight_bit")
OWN_OPTIONS = [
    paths_argument("pictures", "PICTURES...", "Pictures to learn from: files, or folders of them."),
    option("name", str, "edit", "Name of the edit."),
    option("target", list[Path], [], "Target picture or folder, for a direction from pictures.", show_default="none"),
    option("seed", int, 0, "Of everything random in the training.", min=0),
    option("out", Path | None, None, "File for the edit, beside the one in the run's folder.", show_default="none"),
    option("form", str, "half", "Of the file: full weights, half precision difference, or eight_bit difference."),
]

tune_app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Fine-tune an edit; one command a method, and resume.")


def tune(values: dict[str, Any], name: str) -> None:
    """The command of one method."""
    method = METHODS[name]
    settings = settings_from(method.train_settings, values)
    _check_form(values["form"])
    context = open_context(values)
    request = TrainRequest(_learned(settings, values, context), settings, values["name"], values["seed"], _targets(values, context))
    runs = values["home"] / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    folder = RunFolder.create(runs / new_run_id(), request, context.base.fingerprint)
    folder.note_models(fingerprints(context))
    _run(folder, request, context, values)


def _learned(settings: Settings, values: dict[str, Any], context: Context) -> Tensor:
    """The pictures to learn from, `(N, 3, H, W)` in [-1, 1], in the base's size; for DATUM the one target picture, whole."""
    paths = picture_paths(values["pictures"])
    if not isinstance(settings, DatumTune):
        return read_pictures(paths, context.base.image_size)
    if len(paths) > 1:
        raise ShiftlabError(f"DATUM learns one picture, and {len(paths)} are named. Name one.")
    return target_image(read_picture(paths[0]), settings, context.text_to_image())


def _targets(values: dict[str, Any], context: Context) -> Tensor | None:
    """The pictures of the target, `(N, 3, S, S)` in [-1, 1] in the base's size, where some are named."""
    return read_pictures(picture_paths(values["target"]), context.base.image_size) if values["target"] else None


def resume(values: dict[str, Any]) -> None:
    """Goes on with a run that was stopped, on the models that it was begun with."""
    _check_form(values["form"])
    folder = RunFolder(values["home"] / "runs" / values["run"])
    try:
        method = json.loads((folder.path / "settings.json").read_text())["method"]
        request = folder.request(METHODS[method].train_settings)
    except (OSError, ValueError, KeyError) as error:
        raise ShiftlabError(f"There is no run {values['run']!r} that can be resumed in {folder.path.parent}. Check its id.") from error
    context = open_context(values)
    _check_models(folder, context)
    _run(folder, request, context, values)


def _run(folder: RunFolder, request: TrainRequest, context: Context, values: dict[str, Any]) -> None:
    """Trains, writes everything into the run's folder, and the edit to --out as well."""
    print(f"Run {folder.path.name} in {folder.path}", file=sys.stderr)
    with interruptible() as stopped:
        context.should_stop = stopped
        context.checkpoints = FolderCheckpoints(folder.checkpoints, lambda step: folder.log(f"Saved at step {step}."))
        try:
            edit: Edit = told(_noted(train_within_memory(METHODS[request.settings.method], request, context), folder))
        except Stopped as stop:
            folder.log("Interrupted.")
            raise Stopped(f"Stopped and saved. Go on with: python -m core tune resume {folder.path.name}") from stop
    save_edit(folder.edit, edit, context.base.state_dict(), "full")
    folder.log("Done.")
    if values["out"] is not None:
        save_edit(values["out"], edit, context.base.state_dict(), values["form"])
    print(values["out"] or folder.edit)


def _noted(events: Iterator[StepEvent | Edit], folder: RunFolder) -> Iterator[StepEvent | Edit]:
    """The same events, with numbers, samples and notes kept in the run's folder."""
    for event in events:
        if isinstance(event, StepEvent):
            if event.numbers:
                folder.add_numbers(event)
            if event.images is not None:
                folder.add_samples(event.step, event.images)
            if event.note:
                folder.log(event.note)
        yield event


def _check_models(folder: RunFolder, context: Context) -> None:
    """Raises ShiftlabError, naming both, where a run was begun with other models than those that are loaded."""
    begun = folder.models()
    for part, model in fingerprints(context).items():
        if begun.get(part, model) != model:
            raise ShiftlabError(f"This run was begun with the {part} {begun[part]}, but {model} is loaded. Name it with --{part}.")


def _check_form(form: str) -> None:
    if form not in FORMS:
        raise typer.BadParameter(f"--form is one of {', '.join(FORMS)}, not {form!r}.")


for method_name, lab_method in that_train().items():
    parameters = [*OWN_OPTIONS, *settings_options(lab_method.train_settings), *model_options(method_name)]
    command(tune_app, method_name, f"Fine-tune an edit with {method_name}.", parameters, partial(tune, name=method_name))


RUN = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run: the name of its folder in the home's runs/.", show_default=False)]
RESUME_OPTIONS = [parameter for parameter in OWN_OPTIONS if parameter.name in ("out", "form")]
command(
    tune_app,
    "resume",
    "Go on with a run that was stopped, with the settings it was begun with.",
    [
        RESUME_OPTIONS[0].replace(name="run", annotation=RUN, default=RESUME_OPTIONS[0].empty),
        *RESUME_OPTIONS,
        TEXT_TO_IMAGE_OPTION,
        *MODEL_OPTIONS,
    ],
    resume,
)

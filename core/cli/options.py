"""A settings class as options of a command, and back: names, types, bounds, defaults and help lines are the fields' own.

`return_step: int = Field(501, ge=1, le=981, …)` becomes `--return-step INTEGER RANGE [1<=x<=981]`. What was not given on the command line
comes from `--settings FILE`, where there is one, and else from the class.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

import typer
from annotated_types import Ge, Gt, Le, Lt
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from core.data.edits import read_card
from core.data.png import read_request
from core.types import Settings, ShiftlabError

MOST_SEED = 2**31 - 1  # that the page takes back from a picture
PREFIX = "setting_"  # of the Python names of a settings class's options, which may be called as a command's own are
PLAIN = (int, float, str, bool)
SETTINGS_HELP = "File to take the settings from that are not given here: JSON, a PNG that the lab wrote, or an edit."


def option(name: str, kind: Any, default: Any, help: str, **more: Any) -> inspect.Parameter:
    """A command's own option `--name`; kind is its type. Written as a parameter, so that several commands share it."""
    annotation = Annotated[kind, typer.Option(f"--{name.replace('_', '-')}", help=help, **more)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def settings_options(cls: type[Settings], only: Sequence[str] | None = None) -> list[inspect.Parameter]:
    """One option a field, in the fields' order, and `--settings`. only: the names of the fields that the command uses."""
    fields = {name: field for name, field in cls.model_fields.items() if only is None or name in only}
    return [option("settings", Path | None, None, SETTINGS_HELP), *(_option(name, field) for name, field in fields.items())]


def settings_from(cls: type[Settings], values: dict[str, Any], only: Sequence[str] | None = None) -> Settings:
    """The settings out of a command's values. Raises typer.BadParameter, which ends with status 2, for a value that is out of bounds."""
    given = {name.removeprefix(PREFIX): value for name, value in values.items() if name.startswith(PREFIX) and value is not None}
    for name, value in given.items():
        if not _is_plain(cls.model_fields[name].annotation):
            given[name] = _json(name, value)
    kept = _from_file(values["settings"], cls) if values.get("settings") else {}
    if only is not None:
        kept = {name: value for name, value in kept.items() if name in only}
    try:
        return cls(**{**kept, **given})
    except ValidationError as error:
        raise typer.BadParameter(" ".join(_fault(fault) for fault in error.errors())) from error


def command(app: typer.Typer, name: str, help: str, parameters: Sequence[inspect.Parameter], run: Callable[[dict[str, Any]], None]) -> None:
    """Adds a command whose parameters are put together at run time; `run` gets their values by name."""

    def called(**values: Any) -> None:
        run(values)

    vars(called)["__signature__"] = inspect.Signature(list(parameters))  # what typer reads
    app.command(name, help=help)(called)


def paths_argument(name: str, metavar: str, help: str) -> inspect.Parameter:
    """One or more paths, as a command's arguments."""
    annotation = Annotated[list[Path], typer.Argument(metavar=metavar, help=help, show_default=False)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation)


def _option(name: str, field: FieldInfo) -> inspect.Parameter:
    kind = field.annotation if _is_plain(field.annotation) else str
    default = field.get_default(call_default_factory=True)
    help_line = f"{field.title or name}: {field.description or ''}".strip()
    unit = (field.json_schema_extra or {}).get("unit", "") if isinstance(field.json_schema_extra, dict) else ""
    bounds, words = _bounds(field)
    notes = [*([f"in {unit}"] if unit else []), *words, *([] if _is_plain(field.annotation) else ["as JSON"])]
    said = [f"({'; '.join(notes)})"] if notes else []
    declared = f"--{name.replace('_', '-')}"
    if kind is bool:
        declared = f"{declared}/--no-{name.replace('_', '-')}"
    shown = json.dumps(default, ensure_ascii=False) if not isinstance(default, str) else default or "empty"
    annotation = Annotated[
        kind | None,
        typer.Option(declared, help=" ".join([help_line, *said]), show_default=shown, **bounds),
    ]
    return inspect.Parameter(f"{PREFIX}{name}", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _is_plain(annotation: Any) -> bool:
    """Whether the command line has such a type; all others are given as JSON."""
    return annotation in PLAIN or get_origin(annotation) is Literal


def _bounds(field: FieldInfo) -> tuple[dict[str, float], list[str]]:
    """(bounds that the command line checks by itself, in words those that only the settings class checks)."""
    bounds: dict[str, float] = {}
    words = []
    for limit in field.metadata:
        if isinstance(limit, Ge):
            bounds["min"] = limit.ge
        elif isinstance(limit, Le):
            bounds["max"] = limit.le
        elif isinstance(limit, Gt):
            words.append(f"above {limit.gt}")
        elif isinstance(limit, Lt):
            words.append(f"below {limit.lt}")
    return bounds, words


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"--{name.replace('_', '-')} is no JSON: {error}.") from error


def _from_file(path: Path, cls: type[Settings]) -> dict[str, Any]:
    """Settings out of a JSON file, a PNG's request or an edit's card, as far as they are this method's."""
    if not path.is_file():
        raise ShiftlabError(f"There is no settings file at {path}. Correct --settings.")
    kept: Any = None
    if path.suffix == ".safetensors":
        card = read_card(path)
        kept = {"method": card.method, "settings": card.settings}
    elif (request := read_request(path)) is not None:
        kept = request
    else:
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise ShiftlabError(f"{path.name} holds no settings: it is no JSON, no PNG of this lab and no edit. Choose another.") from error
    if not isinstance(kept, dict):
        raise ShiftlabError(f"{path.name} holds no settings. Choose another file.")
    if kept.get("method", cls.method) != cls.method:
        raise ShiftlabError(f"The settings in {path.name} are of the method {kept['method']!r}, not {cls.method!r}. Choose another file.")
    settings = kept.get("settings", kept)
    if not isinstance(settings, dict):
        raise ShiftlabError(f"{path.name} holds no settings. Choose another file.")
    return settings


def _fault(fault: Any) -> str:
    """One of pydantic's errors as a sentence."""
    names = ".".join(str(part) for part in fault["loc"])
    return f"--{names.replace('_', '-')}: {fault['msg'][:1].lower()}{fault['msg'][1:]}."

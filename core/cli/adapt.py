"""`python -m core adapt <method> SET`: a labelled set carried across, by one process or by several under `accelerate launch`.

    accelerate launch --num_processes 4 -m core adapt diffusionclip faces.zip --edit sketch --out faces-as-sketches

The launcher says in the environment which part is whose. The same command, repeated, makes what is missing, by however many processes.
Without GPUs, `accelerate launch --multi_gpu --num_processes 2 … --device cpu` starts two processes all the same.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from core.adaptation.adapt import Adaptation, adapt, is_complete
from core.cli.options import MOST_SEED, command, option, settings_from, settings_options
from core.cli.session import model_options, open_context, read_edit, told_to_end
from core.data.labelled import LabelledSet, open_set
from core.data.labelled_split import with_split
from core.methods import METHODS, that_edit
from core.types import ShiftlabError

LAUNCHERS = (("RANK", "WORLD_SIZE"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE"))  # torchrun, mpirun
SET = option("unused", Path, None, "").replace(
    name="source",
    annotation=Annotated[Path, typer.Argument(metavar="SET", help="ZIP or folder of a labelled set, or its index.", show_default=False)],
    default=option("unused", Path, None, "").empty,
)
COLUMN = option("column", str | None, None, "Label column that the split keeps in proportion.", show_default="the first")
SPLIT_OPTIONS = [
    option("validation", float, 0.1, "Share of the pictures drawn for validation, where the set gives none itself.", min=0, max=0.9),
    option("test", float, 0.2, "Share of the pictures drawn for testing, where the set gives none itself.", min=0, max=0.9),
    option("split_seed", int, 0, "Of that draw.", min=0),
]
OWN_OPTIONS = [
    SET,
    option("edit", list[str], [], "Edit: a file, a shipped edit's name or a run's id. Several mix; none reconstructs."),
    option("out", Path, Path("adapted"), "Folder for the adapted set."),
    option("seed", int, 0, "Of the first picture; the next ones count on.", min=0, max=MOST_SEED),
    option("batch", int, 16, "Pictures at once. The same for every process and every repetition.", min=1, max=1024),
    COLUMN,
    *SPLIT_OPTIONS,
]

adapt_app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Carry a labelled set across with an edit; one command a method.")


def split_set(values: dict[str, Any]) -> LabelledSet:
    """The set that the options name, each picture in a split. Raises ShiftlabError for one without labels."""
    labelled = open_set(values["source"])
    if not labelled.columns:
        raise ShiftlabError(f"The pictures of {values['source']} have no labels. Name a labelled set.")
    return with_split(labelled, values["column"] or labelled.columns[0], values["validation"], values["test"], values["split_seed"])


def share() -> tuple[int, int]:
    """(which process this is, of how many), as the launcher says."""
    names = [pair for pair in LAUNCHERS if pair[0] in os.environ and pair[1] in os.environ]
    return (int(os.environ[names[0][0]]), int(os.environ[names[0][1]])) if names else (0, 1)


def adapt_set(values: dict[str, Any], name: str) -> None:
    """The command of one method."""
    rank, world = share()
    if values["device"] is None and world > 1 and torch.cuda.is_available():
        values["device"] = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    settings = settings_from(METHODS[name].edit_settings, values)
    context = open_context(values)
    prompts = {key: getattr(settings, key, "") for key in ("reference_prompt", "target_prompt")}
    any_base = bool(getattr(settings, "any_base", False))
    edits = tuple(read_edit(reference, values, context.base, any_base=any_base, **prompts) for reference in values["edit"])
    labelled = split_set(values)
    adaptation = Adaptation(METHODS[name], settings, edits, values["seed"], values["batch"])
    told_to_end(adapt(labelled, adaptation, values["out"], context, rank, world))
    if is_complete(values["out"]):
        print(f"{values['out']}  {len(labelled)} pictures, {len(labelled.report.left_out)} left out")


for method_name, lab_method in that_edit().items():
    parameters = [*OWN_OPTIONS, *settings_options(lab_method.edit_settings), *model_options(method_name)]
    command(adapt_app, method_name, f"Carry a labelled set across with {method_name}.", parameters, partial(adapt_set, name=method_name))

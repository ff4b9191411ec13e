"""`python -m core shares` and `rebalance`: what a target without labels is made of, and a source set brought to the same mixture.

python -m core shares faces.zip sketches/ --attribute glasses --out shares
python -m core rebalance faces.zip --shares shares --column smiling --out faces-as-target.jsonl
python -m core adapt diffusionclip faces-as-target.jsonl --edit sketch
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, get_args

import pandas as pd
import typer

from core.adaptation.jobs import in_foreground
from core.adaptation.quantify import WAYS
from core.adaptation.rebalance import How, shares_in
from core.adaptation.share_jobs import SharesTask, rebalanced_by
from core.adaptation.shares import ShareSettings, read_levels, read_shares
from core.cli.adapt import COLUMN, SET, SPLIT_OPTIONS, split_set
from core.cli.options import MOST_SEED, command, option, settings_from, settings_options
from core.cli.session import MODEL_OPTIONS, no_edits, open_context, told_to_end
from core.data.labelled import open_set
from core.jobs.tasks import Tools
from core.methods import METHODS
from core.types import ShiftlabError

UNSEEN = "The probe saw source pictures only; no interval covers what the target's look does to it. Adapt some, and name them by --adapted."
TARGET = SET.replace(
    name="target",
    annotation=Annotated[
        Path, typer.Argument(metavar="TARGET", help="ZIP or folder of the target's pictures; labels are not looked at.", show_default=False)
    ],
)
SHARES_OPTIONS = [
    SET,
    TARGET,
    option("attribute", list[str], [], "Label column of the set whose shares in the target are wanted. Several may be given."),
    option("adapted", Path | None, None, "Folder of the adapted set, whose pictures the probe learns from as well.", show_default="none"),
    option("out", Path, Path("shares"), "Folder for the tables. The same command goes on where it stopped."),
    COLUMN,
    *SPLIT_OPTIONS,
]
REBALANCE_OPTIONS = [
    SET,
    option("shares", Path, Path("shares"), "Folder in which `shares` left its tables."),
    option("way", str, "em", f"Whose estimate: {', '.join(WAYS)}."),
    option("how", str, "resample", "resample: as many as there were, the scarce ones several times. subsample: nobody twice, far fewer."),
    option("seed", int, 0, "Of the draw.", min=0, max=MOST_SEED),
    option("out", Path, Path("rebalanced.jsonl"), "File for the index; the manifest of what was taken goes beside it (.csv)."),
    option("column", str | None, None, "Label column to be learned, whose classes keep their shares.", show_default="the first"),
    *SPLIT_OPTIONS,
]


def add_shares(app: typer.Typer) -> None:
    """Adds the two commands."""
    command(app, "shares", "Estimate the shares of attributes in a target without labels.",
            [*SHARES_OPTIONS, *settings_options(ShareSettings), *MODEL_OPTIONS], shares)  # fmt: skip
    command(app, "rebalance", "Bring the training split of a set to shares that were estimated.", REBALANCE_OPTIONS, rebalance)


def shares(values: dict[str, Any]) -> None:
    """Writes the tables and prints them, in percent."""
    settings = settings_from(ShareSettings, values)
    if not values["attribute"]:
        raise typer.BadParameter("Name at least one label column with --attribute.")
    out = values["out"]
    out.parent.mkdir(parents=True, exist_ok=True)
    index = split_set(values).save(out.with_name(f"{out.name}.source.jsonl")).resolve()
    target = open_set(values["target"], labels=False).save(out.with_name(f"{out.name}.target.jsonl")).resolve()
    adapted = values["adapted"].resolve() if values["adapted"] is not None else None
    task = SharesTask(index=index, target=target, columns=tuple(values["attribute"]), adapted=adapted, settings=settings)
    told_to_end(in_foreground(task, out, out.name, Tools(open_context(values), METHODS, no_edits)))
    levels = read_levels(out)
    print(_percent(levels[levels["chosen"]].drop(columns="chosen"), "accuracy", "balanced"), end="\n\n")
    print(_percent(read_shares(out), "source", *WAYS, *(f"{way}_{end}" for way in WAYS for end in ("low", "high"))))
    if adapted is None:
        print(UNSEEN, file=sys.stderr)


def rebalance(values: dict[str, Any]) -> None:
    """Writes the index and the manifest and prints how many of which were taken."""
    for name, allowed in (("way", WAYS), ("how", get_args(How))):
        if values[name] not in allowed:
            raise typer.BadParameter(f"--{name} is one of {', '.join(allowed)}, not {values[name]!r}.")
    if not values["shares"].is_dir():
        raise ShiftlabError(f"There are no shares in {values['shares']}. Run `python -m core shares` first.")
    source, table, out = split_set(values), read_shares(values["shares"]), values["out"]
    index = source.save(out.with_name(f"{out.stem}.source.jsonl"))
    label = values["column"] or source.columns[0]
    found = rebalanced_by(index, table, label, out, values["way"], values["how"], values["seed"])
    for column in dict.fromkeys([label, *table["column"]]):
        for name, share in shares_in(found.split("train"), found.column(column)).items():
            print(f"{column}  {name}  {100 * share:.1f} %")
    print(f"{out}  {len(found.split('train'))} of {len(source.split('train'))} training pictures")


def _percent(table: pd.DataFrame, *endings: str) -> str:
    shown = table.copy()
    for column in shown:
        if column.endswith(endings):
            shown[column] = (100 * shown[column]).map("{:.1f}".format)
    return shown.to_string(index=False)

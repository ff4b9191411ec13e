"""`python -m core labelled`, `classify` and `audit`: what a labelled set holds, what adapting it is worth, and which labels were lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from core.adaptation.audit import AUDIT, AuditSettings, dropped, read_audit, voted
from core.adaptation.classifier import ClassifierSettings
from core.adaptation.classify import ARMS, classifier_file
from core.adaptation.jobs import AuditTask, ClassifyTask, in_foreground
from core.adaptation.report import doubts, percent
from core.adaptation.results import accuracies, comparisons
from core.cli.adapt import COLUMN, SET, SPLIT_OPTIONS, split_set
from core.cli.options import command, option, settings_from, settings_options
from core.cli.session import DEVICE, MODEL_OPTIONS, no_edits, open_context, save_index, told_to_end
from core.data.labelled import open_set
from core.jobs.machine import pick_device
from core.jobs.runs import RunFolder
from core.jobs.tasks import Tools
from core.methods import METHODS
from core.types import Context, ShiftlabError

ADAPTED = option("adapted", Path, Path("adapted"), "Folder of the adapted set.")
CLASSIFY_OPTIONS = [
    SET,
    ADAPTED,
    option("out", Path, Path("comparison"), "Folder for classifiers, numbers and the report. The same command goes on where it stopped."),
    option(
        "target", Path | None, None, "Labelled true pictures of the target; with a train split they give the oracle.", show_default="none"
    ),
    option("arm", list[str], ["source", "adapted"], "What to train on: source, adapted, both, audited, target."),
    option("audit", Path | None, None, "Table of an audit, whose suspicious pictures the arm audited leaves out.", show_default="none"),
    COLUMN,
    *SPLIT_OPTIONS,
    DEVICE,
]
AUDIT_OPTIONS = [
    ADAPTED,
    option("comparison", Path, Path("comparison"), "Folder of a comparison with a classifier trained on source."),
    option("out", Path, Path("audit"), "Folder for the table."),
    option("prompt", list[str], [], "LABEL=PROMPT, one a label, for CLIP's vote.", show_default="none"),
    COLUMN,
]


def add_classify(app: typer.Typer) -> None:
    """Adds the three commands."""
    out = option(
        "out", Path | None, None, "File for the index (.jsonl), which the other commands take in place of the set.", show_default="none"
    )
    command(app, "labelled", "Read a labelled set: what is in it, what was left out and why.", [SET, COLUMN, *SPLIT_OPTIONS, out], labelled)
    command(app, "classify", "Train classifiers on a set and its adapted twin, and compare them.",
            [*CLASSIFY_OPTIONS, *settings_options(ClassifierSettings)], classify)  # fmt: skip
    command(app, "audit", "Ask which adapted pictures lost their label.",
            [*AUDIT_OPTIONS, *settings_options(AuditSettings), *MODEL_OPTIONS], audit)  # fmt: skip


def labelled(values: dict[str, Any]) -> None:
    """Counts a class and split, and everything that was left out."""
    found = split_set(values)
    print(f"{found.source}: {len(found)} pictures, layout {found.report.layout}, columns {', '.join(found.columns)}")
    for column in [values["column"]] if values["column"] else found.columns:
        for (split, label), count in sorted(found.counts(column).items()):
            print(f"{column}  {split:<10}  {label or '(none)'}  {count}")
    for line in [*found.report.notes, *(f"left out: {name}: {why}" for name, why in found.report.left_out)]:
        print(line)
    if values["out"] is not None:
        print(found.save(values["out"]))


def classify(values: dict[str, Any]) -> None:
    """Trains, prints the tables and writes the report."""
    settings = settings_from(ClassifierSettings, values)
    if unknown := [arm for arm in values["arm"] if arm not in ARMS]:
        raise typer.BadParameter(f"--arm is one of {', '.join(ARMS)}, not {unknown[0]!r}.")
    source, out = split_set(values), values["out"]
    out.parent.mkdir(parents=True, exist_ok=True)
    index = save_index(source, out.with_name(f"{out.name}.source.jsonl"), out)
    target = open_set(values["target"]) if values["target"] is not None else None
    target_index = save_index(target, out.with_name(f"{out.name}.target.jsonl"), out) if target is not None else None
    names = dropped(read_audit(values["audit"]), AuditSettings()) if values["audit"] is not None else ()
    task = ClassifyTask(
        index=index, adapted=values["adapted"].resolve(), column=values["column"] or source.columns[0], arms=tuple(values["arm"]),
        target=target_index, dropped=names, settings=settings,
    )  # fmt: skip
    told_to_end(in_foreground(task, out, out.name, Tools(Context(None, device=pick_device(values["device"])), METHODS, no_edits)))
    table = accuracies(out)
    for shown in (table, comparisons(out)):
        if len(shown):
            print(percent(shown).to_string(index=False), end="\n\n")
    for sentence in doubts(table):
        print(sentence, end="\n\n")
    print(*task.export(out, out / "report", f"{out.name}: {task.column}"), sep="\n")


def audit(values: dict[str, Any]) -> None:
    """Writes the table and prints what is suspicious."""
    settings = settings_from(AuditSettings, values)
    classifiers = sorted((values["comparison"] / "classifiers").glob("source-*.safetensors"))
    if not classifiers:
        raise ShiftlabError(f"{values['comparison']} has no classifier trained on source. Run `python -m core classify` first.")
    prompts = dict(text.partition("=")[::2] for text in values["prompt"])
    seed = int(classifiers[0].stem.rpartition("-")[2])
    column = values["column"] or _column(values["comparison"])
    task = AuditTask(
        adapted=values["adapted"].resolve(), column=column, classifier=classifier_file(values["comparison"], "source", seed).resolve(),
        prompts=prompts,
    )  # fmt: skip
    told_to_end(in_foreground(task, values["out"], values["out"].name, Tools(open_context(values), METHODS, no_edits)))
    table = voted(read_audit(values["out"] / AUDIT), settings)
    print(table[table["suspicious"]].to_string(index=False))
    print(f"{values['out'] / AUDIT}  {int(table['suspicious'].sum())} of {len(table)} suspicious")


def _column(comparison: Path) -> str:
    return str(RunFolder(comparison).settings()["column"])

"""What counting without labels is worth: attribute shares of a target estimated, the source rebalanced to them, classifiers compared.

    python -m core.pretrain.shift_quality                 # writes benchmarks/shift.md; goes on where it was stopped
    python -m core.pretrain.shift_quality --count 320 --drawn 320 --size 32       # cheap

The label is to be told in a target whose mixture of another attribute is not the source's:
- *mixture*: 3 in 10 of the source have the attribute, 8 in 10 of the target;
- *confounded*: in the source the attribute goes with the label (9 in 10, against 1 in 10), in the target half of either class have it.

Photographs are carried across twice: by a shipped edit, and by the renderer, which draws the same people in the target domain. The latter
is what a perfect edit would do, so what it shows is of the rebalancing alone. The target's pictures are of other people in either case.
Which pictures an edit is applied to does not change what it makes of them, so all are carried once and rebalanced afterwards.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import torch

from core.adaptation.classifier import ClassifierSettings
from core.adaptation.fit import Arm, fit, predictions
from core.adaptation.pixels import Pictures, chosen, mapped
from core.adaptation.quantify import WAYS
from core.adaptation.rebalance import How, rebalanced, shares_in
from core.adaptation.results import bootstrap, mcnemar
from core.adaptation.share_probe import best_at
from core.adaptation.shares import TARGET, Seen, ShareSettings, Survey, looked_at, read_levels, read_shares, shares_of, survey
from core.data.labelled import LabelledSet
from core.data.text_files import write_text
from core.pretrain import common
from core.pretrain.adaptation_quality import told
from core.pretrain.edits import RECIPES, context_of
from core.pretrain.shift_sets import EDIT, LABELS, RENDERER, SHIFTS, Pool, asked_folder, mixed, pools, target_of
from core.types import Context, StepEvent
from core.worlds import portraits as world

VARIANTS: dict[str, tuple[str, How] | None] = {
    "as it is": None,
    "subsampled to em": ("em", "subsample"),
    "resampled to plain": ("plain", "resample"),
    "resampled to em": ("em", "resample"),
    "resampled to the truth": ("true", "resample"),
}
AS_IT_IS = next(iter(VARIANTS))
CHANCE = 0.5  # half of the test pictures have the label
INTRO = """# What counting without labels is worth

`{command}`: the label is {label}, the attribute {attribute}; photographs carried to the domain of the shipped edit "{edit}":
{carriers}. Of these the *mixture* takes 3 in 10 with the attribute (8 in 10 of the target have it), *confounded* 9 in 10 of those with
the label and 1 in 10 of the others (5 in 10 of the target, whatever the label). Half of all have the label. Shares are estimated on
{unlabelled} pictures of the target, without labels, by a probe that learned from *photos* or from *both*, photos and their adapted
twins; intervals are 95 %. Classifiers ({size} pixels, {epochs} epochs, {seeds} seeds) learn from the adapted pictures as they are, or
rebalanced to what the latter probe found, or to the truth, and are tested on {test} other pictures of the target. Intervals of
accuracy: bootstrap over seeds and pictures; p: McNemar's exact test, the largest over the seeds.
"""
T = TypeVar("T")


def surveyed(
    pool: Pool, target: LabelledSet, learned: str, folder: Path, options: argparse.Namespace, context: Context
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(levels with the truth beside them, shares) of the attribute, by a probe that learned from photos, or from photos and carried."""
    settings = ShareSettings(levels=options.levels, highest=options.highest, pictures=max(len(pool.photos), len(target)))
    unlabelled = replace(target, items=tuple(target.split("train")))
    question = Survey(pool.photos, unlabelled, (options.attribute,), pool.carried if learned == "both" else None)
    told(survey(question, settings, folder, context))
    sets = looked_at(question, settings)
    seen = Seen({**sets, "target validation": sets.pop(TARGET)}, settings.draws, folder, context)
    truth = {t: _truth(t, seen, options.attribute) for t in settings.grid()}
    levels = read_levels(folder)
    levels["target balanced"] = levels["level"].map(truth)
    return levels, read_shares(folder)


def _truth(t: int, seen: Seen, attribute: str) -> float:
    """What nobody could know: the balanced accuracy of a level's probe on the target's pictures, by their labels."""
    features = {name: last(seen.features(name, t)) for name in seen.sets}
    return best_at(t, attribute, LABELS, features, seen.sets).readings[TARGET].balanced


def last(walk: Generator[StepEvent, None, T]) -> T:
    """What a walk returns, its events unheard."""
    while True:
        try:
            next(walk)
        except StopIteration as end:
            return end.value


def told_right(
    pool: Pool, target: LabelledSet, shares: Mapping[str, Mapping[str, float]], folder: Path, options: argparse.Namespace, context: Context
) -> dict[str, np.ndarray]:
    """Which test pictures of the target were told right by classifiers that learned from each variant: bool `(seeds, pictures)`.

    shares: of the attribute's values, by way.
    """
    carried = last(mapped(pool.carried, options.size, folder / f"carried-{options.size}.npy"))
    truths = last(mapped(target, options.size, folder / f"target-{options.size}-{len(target)}.npy"))
    test = chosen(truths, target, options.label, LABELS, "test")
    return {
        name: np.stack([_right(name, _training(pool.carried, carried, shares, name, options), test, seed, folder, options, context)
                        for seed in range(options.seeds)])
        for name in VARIANTS
    }  # fmt: skip


def _training(
    carried: LabelledSet, pixels: np.ndarray, shares: Mapping[str, Mapping[str, float]], name: str, options: argparse.Namespace
) -> Pictures:
    """The pictures of one variant; one that is taken several times is there several times."""
    variant = VARIANTS[name]
    found = carried if variant is None else rebalanced(carried, {options.attribute: shares[variant[0]]}, options.label, variant[1])
    rows, place = {item.name: row for row, item in enumerate(carried.items)}, carried.column(options.label)
    train = found.split("train")
    y = torch.tensor([LABELS.index(item.labels[place]) for item in train])
    return Pictures((pixels,), np.zeros(len(train), dtype=np.int64), np.array([rows[item.name] for item in train]), y)


def _right(
    name: str, train: Pictures, test: Pictures, seed: int, folder: Path, options: argparse.Namespace, context: Context
) -> np.ndarray:
    path = folder / f"right-{options.size}-{options.epochs}-{options.test}" / f"{name}-{seed}.json"
    if not path.is_file():
        nothing = Pictures(test.arrays, test.which[:0], test.rows[:0], test.y[:0])
        found = last(fit(Arm(name, train, nothing, {}), LABELS, options.size, ClassifierSettings(epochs=options.epochs), seed, context))
        right = (predictions(found, test) == test.y).tolist()
        write_text(path, json.dumps({"trained on": len(train), "right": right}))
        print(f"{folder.name}: {name}, seed {seed}: {100 * np.mean(right):.1f} % of {len(test)}, from {len(train)} pictures", flush=True)
    return np.array(json.loads(path.read_text(encoding="utf-8"))["right"])


def accuracies(right: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """A row a variant: accuracy in %, sd over seeds, 95 % interval, and the gain over the source as it is, with interval and p."""
    rows = []
    for name, values in right.items():
        found = bootstrap(values)
        row = {"trained on": name, "accuracy": found.mean, "sd": values.mean(axis=1).std(ddof=1), "low": found.low, "high": found.high}
        if name != AS_IT_IS:
            gain = bootstrap(values.astype(np.int8) - right[AS_IT_IS].astype(np.int8))
            p = max(mcnemar(a, b)[0] for a, b in zip(values, right[AS_IT_IS], strict=True))
            row |= {"gain": gain.mean, "gain low": gain.low, "gain high": gain.high, "p": p}
        rows.append(row)
    return pd.DataFrame(rows)


def verdict(table: pd.DataFrame) -> str:
    """Whether rebalancing helped, by the interval of its gain."""
    as_it_is = table.iloc[0]
    words = [] if not as_it_is["low"] <= CHANCE <= as_it_is["high"] else ["as it is, the label is told by chance alone"]
    for row in table.iloc[1:].to_dict("records"):
        how = "helps" if row["gain low"] > 0 else "harms" if row["gain high"] < 0 else "makes no difference that these counts show"
        words.append(f"*{row['trained on']}* {how} ({100 * row['gain']:+.1f} points)")
    return "; ".join(words) + "."


def section(name: str, shift: str, surveys: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], right: Mapping[str, np.ndarray]) -> str:
    """Sentences and tables of one mixture and one way of carrying."""
    levels = [table.assign(learned=learned) for learned, (table, _) in surveys.items()]
    shares = [table[table["value"] == "yes"].assign(learned=learned) for learned, (_, table) in surveys.items()]
    accuracy = accuracies(right)
    kept = ["learned", "level", "source balanced", "adapted balanced", "target balanced", "chosen"]
    ends = [f"{way}{end}" for way in WAYS for end in ("", "_low", "_high")]
    return "\n\n".join([
        f"## {shift}, carried by the {name}",
        "How well the probe reads the attribute at each noise level, %, mean of both classes; the target's labels are unknown to it:",
        _percent(pd.concat(levels)[[column for column in kept if column in pd.concat(levels)]]),
        f"Share of the attribute, %; in the target it is {100 * SHIFTS[shift].target:.0f}:",
        _percent(pd.concat(shares)[["learned", "source", *ends]]),
        f"The label told in the target, %: {verdict(accuracy)}",
        _percent(accuracy),
    ])  # fmt: skip


def _percent(table: pd.DataFrame) -> str:
    shown = table.copy()
    for column in shown:
        if column == "p":
            shown[column] = ["" if np.isnan(value) else f"{value:.2g}" for value in table[column]]
        elif table[column].dtype.kind == "f":
            shown[column] = ["" if np.isnan(value) else f"{100 * value:.1f}" for value in table[column]]
    return shown.to_markdown(index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--label", choices=world.ATTRIBUTES, default="smiling", help="what the classifiers tell")
    parser.add_argument("--attribute", choices=world.ATTRIBUTES, default="glasses", help="what is mixed otherwise in the target")
    styles = [name for name in RECIPES if RECIPES[name].domain != "photo"]
    parser.add_argument("--edit", default="sketch", choices=styles, help="the shipped edit that carries the photographs across")
    parser.add_argument("--carried", nargs="+", choices=(EDIT, RENDERER), default=[EDIT, RENDERER], help="who carries them across")
    parser.add_argument("--shifts", nargs="+", choices=SHIFTS, default=list(SHIFTS), help="which mixtures")
    parser.add_argument("--count", type=int, default=1200, help="photographs carried by the edit; a multiple of 16")
    parser.add_argument("--drawn", type=int, default=1600, help="photographs carried by the renderer; a multiple of 16")
    parser.add_argument("--unlabelled", type=int, default=300, help="target pictures that the shares are estimated on")
    parser.add_argument("--test", type=int, default=400, help="target pictures that the classifiers are tested on")
    parser.add_argument("--levels", type=int, default=5, help="noise levels")
    parser.add_argument("--highest", type=int, default=300, help="the highest of them")
    parser.add_argument("--seeds", type=int, default=3, help="classifiers of each kind")
    parser.add_argument("--epochs", type=int, default=10, help="of each classifier")
    parser.add_argument("--size", type=int, default=64, help="pixels a side of what the classifiers see")
    parser.add_argument("--batch", type=int, default=16, help="pictures adapted at once")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads; default: all")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder of the embedded models and edits")
    parser.add_argument("--work", type=Path, default=Path("cache/shift"), help="folder of sets, features and classifiers")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/shift.md"), help="the table")
    prove(parser.parse_args())


def prove(options: argparse.Namespace) -> None:
    """The whole experiment; every part of it that is done already is left as it is."""
    if options.threads:
        torch.set_num_threads(options.threads)
    context = context_of(options.checkpoints, options.work)
    sections = []
    for name, pool in pools(options, context).items():
        for shift in options.shifts:
            sections.append(one(name, pool, shift, options, context))
            write_text(options.out, "\n\n".join([intro(options), *sections]) + "\n")
    print(options.out.read_text(encoding="utf-8"))


def one(name: str, pool: Pool, shift: str, options: argparse.Namespace, context: Context) -> str:
    """The section of one mixture and one way of carrying."""
    part = pool.part(mixed(pool.photos, options.label, options.attribute, SHIFTS[shift]))
    target = target_of(shift, options, context.base.image_size)
    folder = asked_folder(options) / f"{shift}-{options.edit}-{name}-{len(pool.photos)}"
    surveys = {learned: surveyed(part, target, learned, folder / learned, options, context) for learned in ("photos", "both")}
    shares = {way: shares_of(surveys["both"][1], way)[options.attribute] for way in WAYS}
    shares["true"] = shares_in(target.split("train"), target.column(options.attribute))
    return section(name, shift, surveys, told_right(part, target, shares, folder, options, context))


def intro(options: argparse.Namespace) -> str:
    """What the tables have in common."""
    words = {EDIT: f"{options.count} by the edit itself", RENDERER: f"{options.drawn} by the renderer, which stands for a perfect edit"}
    carriers = ", ".join(words[name] for name in options.carried)
    known = {"command": common.command_line("core.pretrain.shift_quality"), "carriers": carriers, **vars(options)}
    return INTRO.format(**known).rstrip()


if __name__ == "__main__":
    common.run_command(main)

"""Asyrp edits of the embedded base, stopped by count: states of one training, each measured on portraits that nothing was trained on.

    python -m core.pretrain.asyrp_quality smiling --states 24 36 48    # compares states; nothing is shipped
    python -m core.pretrain.asyrp_quality --count 256                  # ships every recipe at its own count; writes benchmarks/asyrp.md

Plain gradient descent on this loss has no end: S_dir rises, then falls, while skins darken and hats appear. So the count of updates is
part of a recipe, and this finds it: the judge, which no training has seen, reads the target and the other attributes in every state.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from core.data.edits import save_edit
from core.data.text_files import write_text
from core.methods import METHODS
from core.methods.asyrp import Asyrp
from core.methods.asyrp_settings import AsyrpEdit
from core.metrics.edit import between_floor_and_ceiling
from core.models.judge import Judge, load_judge
from core.pretrain.asyrp_states import COMMON, LEARNED, STOPS, louder, pairs_of, trained_states
from core.pretrain.base_quality import write_sheet
from core.pretrain.common import command_line, run_command
from core.pretrain.edit_quality import UNSEEN_SEED, kept, reached
from core.pretrain.edits import CHUNK, Recipe, context_of, field_and_number
from core.types import Context, Edit, EditRequest, EditResult
from core.worlds import portraits as world

STRIP = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
SHOWN = 8  # portraits in a picture
ON_CARD = {"target_seen": "target seen", "others_kept": "others kept", "identity": "ID", "s_dir": "S_dir", "perceptual": "perceptual"}
AVERAGED = 16  # training portraits whose mean Δh goes with a shipped edit


@dataclass(frozen=True)
class Use:
    """Edits on people with some attributes, of whom others are wanted. settings: other than the defaults."""

    title: str
    edits: tuple[str, ...]
    sources: dict[str, bool]
    targets: dict[str, bool]
    strength: float = 1.0
    settings: dict[str, Any] = field(default_factory=dict)


SERIOUS, SMILING, NO_GLASSES, GLASSES = {"smiling": False}, {"smiling": True}, {"glasses": False}, {"glasses": True}
USES = (
    Use("Smiling, strength −1, on people who smile", ("smiling",), SMILING, SERIOUS, -1.0),
    Use("Smiling by the mean Δh of other people", ("smiling",), SERIOUS, SMILING, settings={"direction": "mean"}),
    Use("Smiling and glasses at once, 1/√2 each", ("smiling", "glasses"), SERIOUS | NO_GLASSES, SMILING | GLASSES),
    Use("Smiling, only down to the measured t_edit of 652", ("smiling",), SERIOUS, SMILING, settings={"t_edit": 652, "return_step": 701}),
)


def use_of(name: str) -> Use:
    """An edit used as it was meant."""
    return Use(LEARNED[name].title, (name,), LEARNED[name].sources, LEARNED[name].targets)


def strips(
    edits: Sequence[Edit], photos: Tensor, strengths: Sequence[float], options: argparse.Namespace, context: Context, **more: Any
) -> tuple[Tensor, pd.DataFrame]:
    """Images `(len(strengths), N, 3, H, W)` and their scores with a column "strength", from one inversion. more: settings."""
    method, walk = METHODS["asyrp"], {"generation_steps": options.steps, "return_step": edits[0].card.settings["return_step"]}
    assert isinstance(method, Asyrp)
    parts, scores = [], []
    for part in photos.split(CHUNK):
        events = method.strip(EditRequest(part, AsyrpEdit(**{**walk, **more}), tuple(edits)), strengths, context)
        results = [event for event in events if isinstance(event, EditResult)]
        parts.append(torch.stack([result.images.cpu() for result in results]))
        scores += [{"strength": c, **score} for c, result in zip(strengths, results, strict=True) for score in result.scores]
    return torch.cat(parts, dim=1), pd.DataFrame(scores)


def measured(
    edits: Sequence[Edit], use: Use, strengths: Sequence[float], judge: Judge, options: argparse.Namespace, context: Context
) -> tuple[list[dict[str, float]], Tensor]:
    """(a row a strength, rows of pictures before and after) of unseen portraits."""
    people = world.sample(options.count, UNSEEN_SEED, **use.sources)
    size = context.base.image_size
    photos, truth = (world.render(shown, "photo", size) for shown in (people, world.with_attributes(people, **use.targets)))
    images, scores = strips(edits, photos, strengths, options, context, **use.settings)
    wanted = Recipe(use.title, "", "", targets=use.targets)
    rows = []
    for strength, made in zip(strengths, images, strict=True):
        mean = scores[scores["strength"] == strength].mean()
        rows.append({
            "strength": strength,
            "target seen": reached(judge, wanted, made),
            "others kept": kept(judge, people.attributes, made, truth, use.targets),
            "identity (0 floor, 1 ceiling)": between_floor_and_ceiling(mean["identity"], context.identity.floor, context.identity.ceiling),
            "ID": mean["identity"],
            "S_dir": mean["s_dir"],
            "perceptual": mean["perceptual"],
        })  # fmt: skip
    return rows, torch.cat([photos[None], images])[:, :SHOWN].flatten(0, 1)


def compare(name: str, judge: Judge, options: argparse.Namespace, context: Context) -> None:
    """Every state of one training, at every strength asked for, with a sheet each."""
    for count, edit in trained_states(name, options.states, options, context).items():
        rows, pictures = measured([edit], use_of(name), options.strengths, judge, options, context)
        write_sheet(pictures, options.work / f"{name}-{count}{options.tag}.png", columns=min(SHOWN, options.count))
        print(pd.DataFrame([{"edit": name, "updates": count, **row} for row in rows]).to_string(index=False), flush=True)


def ship(name: str, judge: Judge, options: argparse.Namespace, context: Context) -> tuple[Edit, dict[str, Any]]:
    """Trains to the recipe's own count, measures, adds the mean Δh, and writes the edit with its card, and its strip. Returns its row."""
    updates, gain = STOPS[name].updates, STOPS[name].gain
    edit = louder(trained_states(name, [updates], options, context)[updates], gain)
    (row,), _ = measured([edit], use_of(name), [1.0], judge, options, context)
    told = {metric: float(row[column]) for metric, column in ON_CARD.items()}
    note = f"python -m core.pretrain.asyrp_quality {name}; {edit.card.note}; measured on {options.count} unseen portraits"
    card = edit.card.model_copy(update={"metrics": {**edit.card.metrics, **told}, "note": note})
    photos, _ = pairs_of(LEARNED[name], context.base.image_size)
    walk = AsyrpEdit(return_step=card.settings["return_step"], generation_steps=card.settings["training_steps"])
    edit = next(event for event in Asyrp().average(Edit(card, edit.weights), photos[:AVERAGED], walk, context) if isinstance(event, Edit))
    save_edit(options.edits / f"asyrp_{name}.safetensors", edit, {})
    faces = world.render(world.sample(SHOWN, UNSEEN_SEED, **LEARNED[name].sources), "photo", context.base.image_size)
    images, _ = strips([edit], faces, STRIP, options, context)
    write_sheet(torch.cat([faces[None], images]).transpose(0, 1).flatten(0, 1), options.out.with_name(f"asyrp_{name}.png"), 1 + len(STRIP))
    return edit, {"edit": LEARNED[name].title, "updates": updates, "Δh times": gain, "used from t": STOPS[name].use_from, **row}


def report(shipped: list[dict[str, Any]], used: list[dict[str, Any]], options: argparse.Namespace, context: Context) -> str:
    """The whole file."""
    others = f"\n## Used otherwise\n\n{pd.DataFrame(used).to_markdown(index=False, floatfmt='.3f')}\n" if used else ""
    return f"""# Asyrp's edits

`{command_line("core.pretrain.asyrp_quality")}`: {options.count} unseen portraits each, {options.steps} generation steps from the t of
the table; trained from t = {COMMON["return_step"]}. Features are shifted down to t = {COMMON["t_edit"]}.
The judge reads the target and the other attributes; S_dir: {context.clip.name} {context.clip.fingerprint}; perceptual:
{context.perceptual.full_name}. The direction learned from is that of pictures of the same people with and
without the attribute. A strip of each edit lies beside this file.

{pd.DataFrame(shipped).to_markdown(index=False, floatfmt=".3f")}
{others}"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"which edits; default: {', '.join(STOPS)}")
    parser.add_argument("--states", nargs="+", type=int, default=[], help="counts of updates to compare; none: ship")
    parser.add_argument("--strengths", nargs="+", type=float, default=[1.0], help="to compare at")
    parser.add_argument("--count", type=int, default=64, help="unseen portraits")
    parser.add_argument("--steps", type=int, default=25, help="generation steps")
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument("--set", type=field_and_number, action="append", default=[], metavar="FIELD=NUMBER", help="instead of the recipe's")
    parser.add_argument("--tag", default="", help="in the pictures' names, for trials")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder of the embedded models")
    parser.add_argument("--edits", type=Path, default=Path("checkpoints/edits"), help="folder of shipped edits")
    parser.add_argument("--work", type=Path, default=Path("cache/asyrp"), help="folder of states, trajectories and pictures")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads; default: all")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/asyrp.md"), help="the table")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    context, judge = context_of(options.checkpoints, options.work), load_judge(options.checkpoints / "judge")
    names = options.names or list(STOPS)
    if options.states:
        for name in names:
            compare(name, judge, options, context)
        return
    edits, rows, used = {}, [], []
    for name in names:
        edits[name], row = ship(name, judge, options, context)
        rows.append(row)
        write_text(options.out, report(rows, used, options, context))
    for use in [use for use in USES if set(use.edits) <= set(edits)]:
        (row,), _ = measured([edits[name] for name in use.edits], use, [use.strength], judge, options, context)
        used.append({"use": use.title, **row})
        write_text(options.out, report(rows, used, options, context))


if __name__ == "__main__":
    run_command(main)

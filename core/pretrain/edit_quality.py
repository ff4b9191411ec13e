"""What the shipped edits do to portraits that nothing was trained on, read by a judge that no training has seen.

    python -m core.pretrain.edit_quality --count 256    # writes benchmarks/edit_quality.md and a sheet of pictures

The judge reads the edited pictures and, beside them, the *true* pictures of the target: the same people drawn in the target domain, or
with the attribute. "kept" is the share of attributes read right in the edited picture among those read right in the true one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from core.data.edits import load_edit
from core.metrics.edit import between_floor_and_ceiling
from core.models.judge import Judge, load_judge
from core.pretrain.base_quality import write_sheet
from core.pretrain.common import run_command
from core.pretrain.edits import RECIPES, Recipe, context_of, edited, guidance_of
from core.types import Context, Edit, ShiftlabError
from core.worlds import portraits as world

UNSEEN_SEED = 910_001  # of portraits that no recipe trains on
SHOWN = 10  # people an edit, in the sheet


def reached(judge: Judge, recipe: Recipe, images: Tensor) -> float:
    """Share of the images in which the judge sees the target: its domain, or its attributes."""
    if recipe.targets:
        read = judge.attributes(images) > 0.5
        wanted = [read[:, world.ATTRIBUTES.index(name)] == value for name, value in recipe.targets.items()]
        return torch.stack(wanted).all(0).float().mean().item()
    return (judge.domains(images).argmax(1) == world.DOMAINS.index(recipe.domain)).float().mean().item()


def kept(judge: Judge, truth: Tensor, images: Tensor, true_images: Tensor, changed: Iterable[str]) -> float:
    """Share of attributes read right in the edited images, of those read right in the true ones; `changed` attributes do not count."""
    right, could = ((judge.attributes(x) > 0.5) == truth for x in (images, true_images))
    others = [i for i, name in enumerate(world.ATTRIBUTES) if name not in set(changed)]
    return (right & could)[:, others].sum().item() / could[:, others].sum().item()


def measure(
    name: str, edit: Edit, judge: Judge, context: Context, count: int, generation_steps: int
) -> tuple[dict[str, float | str], Tensor]:
    """One row of the table, and pictures for the sheet: a row before, one after, one of true ones."""
    recipe = RECIPES[name]
    people = world.sample(count, UNSEEN_SEED, **recipe.sources)
    target = world.with_attributes(people, **recipe.targets)
    size = context.base.image_size
    photos, truth = world.render(people, "photo", size), world.render(target, recipe.domain, size)
    images, scores = edited(edit, photos, generation_steps, context)
    identity = scores["identity"].mean()
    row = {
        "edit": edit.card.name,
        "return step": edit.card.settings["return_step"],
        "guidance": guidance_of(edit),
        "target seen": reached(judge, recipe, images),
        "in true targets": reached(judge, recipe, truth),
        "attributes kept": kept(judge, people.attributes, images, truth, recipe.targets),
        "identity (0 floor, 1 ceiling)": between_floor_and_ceiling(identity, context.identity.floor, context.identity.ceiling),
        "ID": identity,
        "S_dir": scores["s_dir"].mean(),
        "perceptual": scores["perceptual"].mean(),
        "PSNR dB": scores["psnr"].mean(),
    }
    return row, torch.cat([photos[:SHOWN], images[:SHOWN].cpu(), truth[:SHOWN]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="which edits; default: all that are there")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder of the embedded models")
    parser.add_argument("--edits", type=Path, default=Path("checkpoints/edits"), help="folder of the edits")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder of trajectories")
    parser.add_argument("--count", type=int, default=256, help="unseen portraits an edit")
    parser.add_argument("--steps", type=int, default=40, help="generation steps")
    parser.add_argument("--tag", default="", help="before the files' names, for trials")
    parser.add_argument("--out", type=Path, help="the table, beside its pictures; default: in benchmarks, one of its own for names")
    options = parser.parse_args()
    names = options.names or [name for name in RECIPES if (options.edits / f"{options.tag}{name}.safetensors").exists()]
    if not names:
        raise ShiftlabError(f"There are no edits in {options.edits}. Train them, or name another folder.")
    context, judge = context_of(options.checkpoints, options.cache), load_judge(options.checkpoints / "judge")
    rows, sheet = [], []
    for name in names:
        edit = load_edit(options.edits / f"{options.tag}{name}.safetensors", context.base.state_dict())
        row, pictures = measure(name, edit, judge, context, options.count, options.steps)
        rows.append(row)
        sheet.append(pictures)
        print(row, flush=True)
    command = " ".join(["python -m core.pretrain.edit_quality", *options.names, f"--count {options.count} --steps {options.steps}"])
    table = pd.DataFrame(rows).to_markdown(index=False, floatfmt=".3f")
    note = f"{options.count} unseen portraits an edit, {options.steps} generation steps; perceptual: {context.perceptual.full_name}"
    note += f"; S_dir: {context.clip.name} {context.clip.fingerprint}"
    out = options.out or Path("benchmarks", "_".join(["edit_quality", *options.names])).with_suffix(".md")
    shown = out.with_suffix(".png")
    write_sheet(torch.cat(sheet), shown, columns=SHOWN)
    pictures = f"In the order of the table, {SHOWN} people an edit: before, after, and the truth.\n\n![]({shown.name})"
    out.write_text(f"# What the shipped edits do\n\n`{command}`: {note}.\n\n{table}\n\n{pictures}\n")


if __name__ == "__main__":
    run_command(main)

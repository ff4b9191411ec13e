"""Editing by words on a base that was tuned first, in the design of SDFT's table 2 (Hur et al., WACV 2024).

    python -m core.pretrain.tuned_quality --steps 300    # writes benchmarks/tuned.md; run again to resume

The base is tuned to a few limited pictures, naively and by SDFT (the trainings of core.pretrain.sdft_quality, found again where they are).
On each tuned base, DiffusionCLIP and Asyrp learn five prompts from words alone and edit unseen pictures of the domain: S_dir says how far
they went where the words point, ID whether it is still the same person.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from core.data.text_files import write_text
from core.methods import METHODS
from core.methods.asyrp_settings import AsyrpEdit, AsyrpTune
from core.methods.diffusionclip_settings import DiffusionCLIPEdit, DiffusionCLIPTune
from core.pretrain import sdft_quality
from core.pretrain.base_quality import write_sheet
from core.pretrain.common import command_line, run_command
from core.pretrain.edits import context_of
from core.pretrain.kept_edits import kept_edit, stem_of
from core.types import Context, Edit, EditRequest, EditResult, Settings, TrainRequest
from core.worlds import portraits as world

OPENINGS = {"sketch": "a pencil sketch", "painting": "an oil painting", "cartoon": "a cartoon"}
PROMPTS = ("smiling", "glasses", "beard", "hat", "old")
LEARN_SEED, UNSEEN_SEED = 960_001, 960_002
SHOWN = 8


def prompts_of(attribute: str, domain: str) -> dict[str, str]:
    """Both prompts of an attribute, said of the domain's pictures."""
    reference, target = (text.replace("a photo", OPENINGS[domain], 1) for text in world.ATTRIBUTE_PROMPTS[attribute])
    return {"reference_prompt": reference, "target_prompt": target}


def training_of(method: str, prompts: dict[str, str], options: argparse.Namespace) -> Settings:
    """Words alone; the rates are those that served on the embedded base."""
    common: dict[str, Any] = {**prompts, "images": options.learn, "image_weight": 0.0, "epochs": options.epochs, "sample_steps": 2}
    if method == "asyrp":
        return AsyrpTune(
            **common, learning_rate=0.1, return_step=701, t_edit=250, t_boost=0, similarity=0.8, training_steps=options.steps_of_edits
        )
    return DiffusionCLIPTune(**common, batch_size=4, return_step=501, learning_rate=4e-5, w_l1=0.6)


def use_of(edit: Edit, options: argparse.Namespace) -> Settings:
    """Strength 1, at the edit's own return step."""
    walk = {"return_step": edit.card.settings["return_step"], "generation_steps": options.steps_of_edits}
    return AsyrpEdit(**walk) if edit.card.method == "asyrp" else DiffusionCLIPEdit(**walk)


def scored(edit: Edit, pictures: Tensor, options: argparse.Namespace, context: Context) -> tuple[Tensor, dict[str, float]]:
    """(edited pictures, mean S_dir and ID)."""
    images, scores = [], []
    for part in pictures.split(sdft_quality.CHUNK):
        for event in METHODS[edit.card.method].edit(EditRequest(part, use_of(edit, options), (edit,)), context):
            if isinstance(event, EditResult):
                images.append(event.images.cpu())
                scores += event.scores
    means = pd.DataFrame(scores).mean()
    return torch.cat(images), {"S_dir": means["s_dir"], "ID": means["identity"]}


def learned(variant: str, method: str, attribute: str, options: argparse.Namespace, on: Context) -> Edit:
    """The edit towards one prompt on one tuned base, trained or gone on with where it is not there yet."""
    pictures = world.render(world.sample(options.learn, LEARN_SEED, **{attribute: False}), options.domain, on.base.image_size)
    settings = training_of(method, prompts_of(attribute, options.domain), options)
    request = TrainRequest(pictures, settings, attribute, samples=pictures[:1])
    return kept_edit(stem_of(options.work, f"{variant}-{method}-{attribute}", request, on, LEARN_SEED), request, on)


def compared(options: argparse.Namespace, context: Context) -> Iterator[dict[str, Any]]:
    """A row for every tuned base, method and prompt; each with a sheet of pictures."""
    for variant in options.variants:
        tuned = sdft_quality.tuned_edit(variant, options.seed, options, context)
        on = replace(context, base=context.base.tuned(tuned.weights))
        for method, attribute in product(options.methods, options.prompts):
            edit = learned(variant, method, attribute, options, on)
            unseen = world.render(world.sample(options.count, UNSEEN_SEED, **{attribute: False}), options.domain, on.base.image_size)
            images, numbers = scored(edit, unseen, options, on)
            sheet = torch.cat([unseen[:SHOWN], images[:SHOWN]])
            write_sheet(sheet, options.work / f"{variant}-{method}-{attribute}.png", columns=len(sheet) // 2)
            row = {"base": variant, "method": type(METHODS[method]).__name__, "prompt": attribute, **numbers}
            print(row, flush=True)
            yield row


def report(rows: list[dict[str, Any]], options: argparse.Namespace, context: Context) -> str:
    """The whole file: the means of the prompts as the paper has them, then every prompt."""
    table = pd.DataFrame(rows)
    means = table.groupby(["base", "method"], sort=False)[["S_dir", "ID"]].mean().reset_index()
    done = ", ".join(table["prompt"].unique())
    return f"""# Editing by words on tuned bases ({options.domain})

`{command_line("core.pretrain.tuned_quality")}`: bases tuned for {options.steps} updates on {options.images} limited pictures; edits
learned from {options.learn} pictures in {options.epochs} epochs, by words alone; {options.count} unseen pictures each. S_dir by
{context.clip.name} {context.clip.fingerprint}, ID by {context.identity.name} {context.identity.fingerprint},
so neither compares with the paper's. Prompts: {done}.

{means.to_markdown(index=False, floatfmt=".3f")}

{table.to_markdown(index=False, floatfmt=".3f")}
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of sdft_quality that say how the bases are tuned, with those of the edits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="+", choices=sdft_quality.VARIANTS, default=["naive", "SDFT"], help="how the base is tuned")
    parser.add_argument("--methods", nargs="+", choices=("diffusionclip", "asyrp"), default=["diffusionclip", "asyrp"], help="of the edits")
    parser.add_argument("--prompts", nargs="+", choices=PROMPTS, default=list(PROMPTS), help="attributes whose prompts are learned")
    parser.add_argument("--domain", choices=OPENINGS, default="painting", help="of the target pictures")
    parser.add_argument("--seed", type=int, default=0, help="of the base's training")
    parser.add_argument("--learn", type=int, default=32, help="pictures that an edit learns from")
    parser.add_argument("--epochs", type=int, default=2, help="of an edit's training")
    parser.add_argument("--steps-of-edits", type=int, default=25, help="network calls of a generation, and of Asyrp's training")
    parser.add_argument("--count", type=int, default=32, help="unseen pictures an edit")
    tuning = sdft_quality.parse([])
    parser.set_defaults(images=tuning.images, steps=tuning.steps, batch=tuning.batch, lr=tuning.lr, ema=tuning.ema)
    parser.add_argument("--steps", type=int, help="updates of a base's training; a base already tuned for as many is found again")
    parser.add_argument("--save-every", type=int, default=tuning.save_every, help="updates between two saved states of it")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder of the embedded models")
    parser.add_argument("--work", type=Path, default=Path("cache/sdft"), help="folder of edits, states and sheets, as sdft_quality has it")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads; default: all")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/tuned.md"), help="the table")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    context = context_of(options.checkpoints, options.work)
    rows: list[dict[str, Any]] = []
    for row in compared(options, context):
        rows.append(row)
        write_text(options.out, report(rows, options, context))


if __name__ == "__main__":
    run_command(main)

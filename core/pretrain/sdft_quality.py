"""SDFT against its baselines on the embedded limited paintings, in the design of its tables 3 and 4 (Hur et al., WACV 2024).

    python -m core.pretrain.sdft_quality --steps 300 --seeds 0 1 2    # writes benchmarks/sdft.md; run again to resume

Each variant is trained for the same steps on the same few paintings, in which nobody smiles or wears glasses or a hat, once a seed. Its
free samples come from the same noise as the source's. The table has means over the seeds with 95 % confidence intervals (Student's t).
That SDFT comes out best is the paper's claim; this tests it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from core.data.text_files import write_text
from core.methods.sdft_settings import SDFTTune
from core.methods.target_train import free_samples
from core.metrics.distribution import Extractor, best_extractor, frechet_distance, kernel_distance
from core.metrics.perceptual import best_perceptual
from core.models.base import Base
from core.models.judge import Judge, load_judge
from core.pretrain.base_quality import write_sheet
from core.pretrain.common import command_line, run_command
from core.pretrain.edits import context_of
from core.pretrain.kept_edits import kept_edit, ship
from core.types import Context, Edit, TrainRequest
from core.worlds import portraits as world

VARIANTS: dict[str, dict[str, Any]] = {
    "scratch": {"start": "scratch", "lambda_d": 0.0, "lambda_a": 0.0},
    "naive": {"lambda_d": 0.0, "lambda_a": 0.0},
    "SDFT": {},
    "constant": {"weighting": "constant"},
    "Min-SNR-5": {"weighting": "min_snr_5"},
}
TARGETS_SEED, LIMITED_SEED, ALL_SEED, NOISE_SEED = 920_001, 920_002, 920_003, 930_000
LACKING = ("glasses", "smiling", "hat")  # attributes that the limited set does not have
CHUNK = 16  # samples made together
SHOWN = 10  # samples of a variant on the sheet
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Measure:
    """What every variant is measured with. limited, everyone: features `(N, D)` of true pictures without and with what the set lacks."""

    extractor: Extractor
    perceptual: Any
    judge: Judge
    limited: Tensor
    everyone: Tensor
    of_source: Tensor  # the source's free samples

    def __call__(self, samples: Tensor) -> dict[str, float]:
        """One row of numbers for free samples `(N, 3, H, W)` from the same noise as the source's."""
        features = self.extractor(samples)
        seen = (self.judge.attributes(samples) > 0.5).float().mean(dim=0)
        parts = zip(self.of_source.split(CHUNK), samples.split(CHUNK), strict=True)
        return {
            "FID": frechet_distance(self.limited, features),
            "KID×10³": 1000 * kernel_distance(self.limited, features),
            "FID to all": frechet_distance(self.everyone, features),
            "LPIPS to source": torch.cat([self.perceptual(a, b) for a, b in parts]).mean().item(),
            **{f"{name} %": 100 * seen[world.ATTRIBUTES.index(name)].item() for name in LACKING},
        }


def sampled(base: Base, options: argparse.Namespace, context: Context) -> Tensor:
    """`count` free samples, the same noise for every base."""
    seeds = list(range(NOISE_SEED, NOISE_SEED + options.count))
    parts = [seeds[i : i + CHUNK] for i in range(0, len(seeds), CHUNK)]
    return torch.cat([free_samples(base, part, options.sample_steps, context.lock) for part in parts])


def measure_of(options: argparse.Namespace, context: Context) -> tuple[Measure, dict[str, dict[str, float]]]:
    """The measure, and rows to read the others by: true limited pictures and the source model itself."""
    size = context.base.image_size
    extractor, perceptual = best_extractor(context.clip, context.device), best_perceptual(context.identity)
    truth = [world.limited(options.count, LIMITED_SEED), world.sample(options.count, ALL_SEED)]
    limited, everyone = (extractor(world.render(people, options.domain, size)) for people in truth)
    of_source = sampled(context.base, options, context)
    measure = Measure(extractor, perceptual, load_judge(options.checkpoints / "judge"), limited, everyone, of_source)
    again = world.render(world.limited(options.count, LIMITED_SEED + 10), options.domain, size)
    rows = {"true pictures, limited": measure(again), "source model": measure(of_source)}
    rows["true pictures, limited"].pop("LPIPS to source")  # they have no noise in common
    return measure, rows


def tuned_edit(variant: str, seed: int, options: argparse.Namespace, context: Context) -> Edit:
    """The variant's edit, trained or gone on with where it is not there yet."""
    settings = SDFTTune(
        **VARIANTS[variant], images=options.images, steps=options.steps, batch_size=options.batch, learning_rate=options.lr,
        ema=options.ema, sample_every=options.save_every, sample_steps=2,
    )  # fmt: skip
    facts = [settings.model_dump(), seed, options.domain, context.base.fingerprint]
    stem = options.work / f"{variant}-{seed}-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:8]}"
    targets = world.render(world.limited(options.images, TARGETS_SEED), options.domain, context.base.image_size)
    return kept_edit(stem, TrainRequest(targets, settings, f"{options.domain} by {variant}, seed {seed}", seed), context)


def measured(variant: str, seed: int, options: argparse.Namespace, context: Context, measure: Measure) -> dict[str, float]:
    """One variant and seed: trained, sampled and measured; with the first seed its samples go to a sheet."""
    edit = tuned_edit(variant, seed, options, context)
    samples = sampled(context.base.tuned(edit.weights), options, context)
    if seed == options.seeds[0]:
        write_sheet(samples[:SHOWN], options.work / f"{variant}.png", columns=SHOWN)
    row = measure(samples)
    print(variant, seed, row, flush=True)
    return row


def with_interval(values: Sequence[float]) -> str:
    """Mean ± half the width of the 95 % confidence interval of the mean; the value alone where there is one."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:.3f}"
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return f"{mean:.3f} ± {half:.3f}"


def table_of(rows: dict[str, list[dict[str, float]]]) -> str:
    """The Markdown table: one row a variant, its numbers over the seeds."""
    cells = [
        {"variant": name, **{key: with_interval([row[key] for row in of_seeds]) for key in of_seeds[0]}} for name, of_seeds in rows.items()
    ]
    columns = list(dict.fromkeys(key for row in [*cells[1:], *cells] for key in row))  # the first row may lack one
    return pd.DataFrame(cells, columns=columns).fillna("").to_markdown(index=False)


def report(rows: dict[str, list[dict[str, float]]], measure: Measure, options: argparse.Namespace) -> str:
    """The whole file, with all that the numbers depend on."""
    return f"""# SDFT and its baselines on {options.images} limited pictures ({options.domain})

`{command_line("core.pretrain.sdft_quality")}`: {options.steps} updates of {options.batch} pictures at a rate of {options.lr:g}, seeds
{", ".join(map(str, options.seeds))}; {options.count} free samples each, DDIM-{options.sample_steps}, from the same noise for all; means
with 95 % confidence intervals over the seeds.

FID and KID here are the Fréchet and kernel distances in the {measure.extractor.name}: to true limited pictures that nothing was trained
on, and ("to all") to pictures of everybody. LPIPS to source is the {measure.perceptual.full_name} between a sample and the source model's
from the same noise. The shares of glasses, smiles and hats, which the limited set lacks, are the judge's.

{table_of(rows)}
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="which to train and measure")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="one training of each variant for each")
    parser.add_argument("--domain", choices=world.DOMAINS[1:], default="painting", help="of the target pictures")
    parser.add_argument("--images", type=int, default=64, help="target pictures")
    parser.add_argument("--steps", type=int, default=300, help="updates of a training")
    parser.add_argument("--batch", type=int, default=8, help="pictures an update")
    parser.add_argument("--lr", type=float, default=1e-4, help="learning rate; the paper's is 2e-5 for 10,000 updates and more")
    parser.add_argument("--ema", type=float, default=0.99, help="decay of the average; the paper's is 0.9999")
    parser.add_argument("--count", type=int, default=256, help="free samples of each model, and true pictures of each kind")
    parser.add_argument("--sample-steps", type=int, default=25, help="network calls of a sample")
    parser.add_argument("--save-every", type=int, default=50, help="updates between two saved states")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder of the embedded models")
    parser.add_argument("--work", type=Path, default=Path("cache/sdft"), help="folder of edits, states and sheets")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads; default: all")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/sdft.md"), help="the table")
    parser.add_argument("--ship", type=Path, default=None, help="folder of shipped edits, for the base that SDFT tuned")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    context = context_of(options.checkpoints, options.work)
    measure, references = measure_of(options, context)
    rows = {name: [row] for name, row in references.items()}
    for seed in options.seeds:  # all variants of a seed first, so that what is there can be compared at any time
        for variant in options.variants:
            rows.setdefault(variant, []).append(measured(variant, seed, options, context, measure))
        write_text(options.out, report(rows, measure, replace_seeds(options, seed)))
    if options.ship and "SDFT" in options.variants:
        note = f"{command_line('core.pretrain.sdft_quality')}; numbers of {options.count} free samples"
        edit, path = tuned_edit("SDFT", options.seeds[0], options, context), options.ship / f"sdft_{options.domain}.safetensors"
        ship(path, edit, f"{options.images} {options.domain}s", rows["SDFT"][0], note, context)


def replace_seeds(options: argparse.Namespace, last: int) -> argparse.Namespace:
    """The options as far as they are done."""
    return argparse.Namespace(**{**vars(options), "seeds": options.seeds[: options.seeds.index(last) + 1]})


if __name__ == "__main__":
    run_command(main)

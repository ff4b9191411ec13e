"""DomainStudio against naive fine-tuning on ten pictures (Zhu et al., 2023, section 4): how varied samples stay, how near the domain.

    python -m core.pretrain.tenshot_quality --steps 300 --seeds 0 1 2    # writes benchmarks/tenshot.md; run again to resume

Intra-LPIPS: every sample goes to the nearest of the ten pictures, and the mean distance of all pairs in a group says how varied they are.
Nearest-LPIPS: how far a sample is from the nearest of the ten; 0 is a copy. The Fréchet distance goes to true pictures of the domain.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.data.text_files import write_text
from core.methods.domainstudio_settings import DomainStudioTune
from core.metrics.distribution import Extractor, best_extractor, frechet_distance
from core.metrics.diversity import intra_lpips, nearest_lpips
from core.metrics.perceptual import best_perceptual
from core.pretrain.base_quality import write_sheet
from core.pretrain.common import command_line, run_command
from core.pretrain.edits import context_of
from core.pretrain.kept_edits import kept_edit, ship, stem_of
from core.pretrain.sdft_quality import SHOWN, replace_seeds, sampled, table_of
from core.types import Context, Edit, TrainRequest
from core.worlds import portraits as world

VARIANTS: dict[str, dict[str, Any]] = {
    "naive": {"w_pair": 0.0, "w_hf_pair": 0.0, "w_hf": 0.0},
    "DomainStudio": {},
    "DomainStudio, no details": {"w_hf_pair": 0.0, "w_hf": 0.0},
}
SHOTS_SEED, TRUE_SEED = 950_001, 950_002


@dataclass(frozen=True)
class Measure:
    """What every variant is measured with. shots `(K, 3, H, W)`: the pictures learned from; truth: features `(N, D)` of the domain."""

    extractor: Extractor
    perceptual: Any
    shots: Tensor
    truth: Tensor

    def __call__(self, samples: Tensor) -> dict[str, float]:
        """One row of numbers for pictures `(N, 3, H, W)`."""
        return {
            "intra-LPIPS": intra_lpips(self.perceptual, samples, self.shots),
            "nearest-LPIPS": nearest_lpips(self.perceptual, samples, self.shots),
            "FID": frechet_distance(self.truth, self.extractor(samples)),
        }


def measure_of(options: argparse.Namespace, context: Context) -> tuple[Measure, dict[str, dict[str, float]]]:
    """The measure, and rows to read the others by: true pictures of other people, and the source model itself."""
    size = context.base.image_size
    shots = world.render(world.sample(options.images, SHOTS_SEED), options.domain, size)
    truth = world.render(world.sample(options.count, TRUE_SEED), options.domain, size)
    extractor = best_extractor(context.clip, context.device)
    measure = Measure(extractor, best_perceptual(context.identity), shots, extractor(truth))
    again = world.render(world.sample(options.count, TRUE_SEED + 10), options.domain, size)
    return measure, {"true pictures": measure(again), "source model": measure(sampled(context.base, options, context))}


def trained(variant: str, seed: int, options: argparse.Namespace, context: Context, measure: Measure) -> Edit:
    """The variant's edit, trained or gone on with where it is not there yet."""
    settings = DomainStudioTune(
        **VARIANTS[variant], images=options.images, steps=options.steps, batch_size=options.batch, learning_rate=options.lr,
        ema=options.ema, sample_every=options.save_every, sample_steps=2,
    )  # fmt: skip
    request = TrainRequest(measure.shots, settings, f"{options.domain} by {variant}, seed {seed}", seed)
    stem = stem_of(options.work, f"{variant.replace(', ', '-').replace(' ', '-')}-{seed}", request, context, options.domain, SHOTS_SEED)
    return kept_edit(stem, request, context)


def measured(variant: str, seed: int, options: argparse.Namespace, context: Context, measure: Measure) -> dict[str, float]:
    """One variant and seed: trained, sampled and measured; with the first seed its samples go to a sheet."""
    samples = sampled(context.base.tuned(trained(variant, seed, options, context, measure).weights), options, context)
    if seed == options.seeds[0]:
        write_sheet(torch.cat([measure.shots[:SHOWN], samples[: 2 * SHOWN].cpu()]), options.work / f"{variant}.png", columns=SHOWN)
    row = measure(samples)
    print(variant, seed, row, flush=True)
    return row


def report(rows: dict[str, list[dict[str, float]]], measure: Measure, options: argparse.Namespace) -> str:
    """The whole file, with all that the numbers depend on."""
    return f"""# DomainStudio on {options.images} pictures ({options.domain})

`{command_line("core.pretrain.tenshot_quality")}`: {options.steps} updates of {options.batch} pictures at a rate of {options.lr:g}, seeds
{", ".join(map(str, options.seeds))}; {options.count} free samples each, DDIM-{options.sample_steps}, from the same noise for all; means
with 95 % confidence intervals over the seeds.

LPIPS here is the {measure.perceptual.full_name}, FID the Fréchet distance in the {measure.extractor.name} to true pictures of other people.
More intra-LPIPS is more variety; what is near 0 in nearest-LPIPS copies.

{table_of(rows)}
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["naive", "DomainStudio"], help="which to train and measure")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="one training of each variant for each")
    parser.add_argument("--domain", choices=world.DOMAINS[1:], default="sketch", help="of the target pictures")
    parser.add_argument("--images", type=int, default=10, help="target pictures")
    parser.add_argument("--steps", type=int, default=300, help="updates of a training")
    parser.add_argument("--batch", type=int, default=8, help="pictures an update")
    parser.add_argument("--lr", type=float, default=1e-4, help="learning rate")
    parser.add_argument("--ema", type=float, default=0.99, help="decay of the average")
    parser.add_argument("--count", type=int, default=256, help="free samples of each model, and true pictures")
    parser.add_argument("--sample-steps", type=int, default=25, help="network calls of a sample")
    parser.add_argument("--save-every", type=int, default=50, help="updates between two saved states")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder of the embedded models")
    parser.add_argument("--work", type=Path, default=Path("cache/tenshot"), help="folder of edits, states and sheets")
    parser.add_argument("--ship", type=Path, default=None, help="folder of shipped edits, for the base that DomainStudio tuned")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads; default: all")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/tenshot.md"), help="the table")
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
    if options.ship and "DomainStudio" in options.variants:
        note = f"{command_line('core.pretrain.tenshot_quality')}; numbers of {options.count} free samples"
        edit = trained("DomainStudio", options.seeds[0], options, context, measure)
        path = options.ship / f"domainstudio_{options.domain}.safetensors"
        ship(path, edit, f"{options.images}-shot {options.domain}", rows["DomainStudio"][0], note, context)


if __name__ == "__main__":
    run_command(main)

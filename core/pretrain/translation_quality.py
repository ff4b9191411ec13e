"""What translation makes of unseen portraits over several tuned bases, in the design of SDFT's table 1 (Hur et al., WACV 2024).

    python -m core.pretrain.translation_quality painting scratch=a.safetensors naive=b.safetensors sdft=c.safetensors

Faithfulness (PSNR, SSIM, LPIPS) compares each result to its source photograph, realism (FID, KID) all results to true pictures of the
target domain, of other people. EGSDE's domain classifier is trained first where its file is missing; run again to resume.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from core.data.checkpoints import FolderCheckpoints
from core.data.edits import load_edit, save_edit
from core.data.text_files import write_text
from core.methods import METHODS
from core.methods.egsde import EGSDESettings
from core.methods.egsde_train import EGSDETune
from core.methods.sdedit import SDEditSettings
from core.metrics.distribution import Extractor, best_extractor, frechet_distance, kernel_distance
from core.metrics.image import psnr, ssim
from core.pretrain.base_quality import write_sheet
from core.pretrain.common import command_line, run_command
from core.pretrain.edits import context_of
from core.pretrain.kept_edits import ship
from core.types import Context, Edit, EditRequest, EditResult, Settings, StepEvent, TrainRequest
from core.worlds import portraits as world

UNSEEN_SEED, TARGET_SEED, LEARN_SEED = 920_001, 930_001, 940_001  # three groups of people that no other recipe knows
CHUNK = 32
SHOWN = 10
PLACES = 8  # a side, that EGSDE's low-pass filter leaves: N = 32 at the paper's 256 px


def domain_classifier(domain: str, iterations: int, count: int, context: Context) -> Edit:
    """EGSDE's classifier of photographs and the domain, on portraits that are in no test."""
    size = context.base.image_size
    photos, targets = (world.render(world.sample(count, LEARN_SEED + i), name, size) for i, name in enumerate(("photo", domain)))
    request = TrainRequest(photos, EGSDETune(iterations=iterations, images=count), f"photo or {domain}", target_images=targets)
    for event in METHODS["egsde"].train(request, context):
        if isinstance(event, Edit):
            return event
        if isinstance(event, StepEvent) and event.step % 100 == 0:
            print(f"classifier {event.step}/{event.total} {event.numbers}", flush=True)
    raise AssertionError("a training ends with an edit")


def settings_of(size: int, steps: int, return_step: int) -> dict[str, Settings]:
    """The compared methods, with the same walk."""
    walk = {"return_step": return_step, "generation_steps": steps}
    return {"sdedit": SDEditSettings(**walk), "egsde": EGSDESettings(**walk, low_pass=max(2, size // PLACES))}


def translated(settings: Settings, edits: tuple[Edit, ...], photos: Tensor, context: Context) -> Tensor:
    """The photographs `(N, 3, H, W)` carried across, photograph i with seed i."""
    images = []
    for begin in range(0, len(photos), CHUNK):
        request = EditRequest(photos, settings, edits).part(begin, min(begin + CHUNK, len(photos)))
        images += [event.images for event in METHODS[settings.method].edit(request, context) if isinstance(event, EditResult)]
    return torch.cat(images).cpu()


def measure(images: Tensor, photos: Tensor, target_features: Tensor, extractor: Extractor, context: Context) -> dict[str, float]:
    """One row of the table: means over the images, and how far they are, as a set, from the target's features `(M, D)`."""
    features = extractor(images)
    pairs = list(zip(images.split(CHUNK), photos.split(CHUNK), strict=True))
    device = context.base.device
    return {
        "PSNR dB": torch.cat([psnr(a, b) for a, b in pairs]).mean().item(),
        "SSIM": torch.cat([ssim(a, b) for a, b in pairs]).mean().item(),
        "PSNR as SDFT's, dB": torch.cat([psnr(a, b, paper_compatible=True) for a, b in pairs]).mean().item(),
        "SSIM as SDFT's": torch.cat([ssim(a, b, paper_compatible=True) for a, b in pairs]).mean().item(),
        "LPIPS": torch.cat([context.perceptual(a.to(device), b.to(device)).detach().cpu() for a, b in pairs]).mean().item(),
        "FID": frechet_distance(features, target_features),
        "KID ×10³": 1000 * kernel_distance(features, target_features),
    }


def compare(
    bases: Mapping[str, Edit],
    classifier: Edit,
    settings: Mapping[str, Settings],
    photos: Tensor,
    targets: Tensor,
    extractor: Extractor,
    context: Context,
) -> Iterator[tuple[dict[str, float | str], Tensor]]:
    """(row, images) of every method over every base; the first row is the photographs themselves."""
    target_features = extractor(targets)
    yield {"method": "untouched", "base": "", **measure(photos, photos, target_features, extractor, context)}, photos
    for name, base in bases.items():
        for method, chosen in settings.items():
            images = translated(chosen, (base, classifier) if method == "egsde" else (base,), photos, context)
            yield (
                {"method": type(METHODS[method]).__name__, "base": name, **measure(images, photos, target_features, extractor, context)},
                images,
            )


def _named(text: str) -> tuple[str, Path]:
    name, _, path = text.rpartition("=")
    return name or Path(path).stem, Path(path)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("domain", choices=[name for name in world.DOMAINS if name != "photo"], help="the target domain")
    parser.add_argument("bases", nargs="+", type=_named, metavar="NAME=FILE", help="tuned bases: edits of the embedded base")
    parser.add_argument("--classifier", type=Path, default=None, help="EGSDE's classifier; default: <cache>/egsde/<domain>.safetensors")
    parser.add_argument("--iterations", type=int, default=1500, help="of the classifier's training, where it is missing")
    parser.add_argument("--learn", type=int, default=400, help="portraits of each domain that the classifier learns from")
    parser.add_argument("--count", type=int, default=256, help="unseen portraits")
    parser.add_argument("--steps", type=int, default=40, help="generation steps")
    parser.add_argument("--return-step", type=int, default=500, help="of both methods")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder of the embedded models")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder of the classifier, its state and the sheet")
    parser.add_argument("--ship", type=Path, default=None, help="folder of shipped edits, for the classifier")
    parser.add_argument("--out", type=Path, default=None, help="the table; default: benchmarks/translation_<domain>.md")
    return parser


def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    work = options.cache / "egsde"
    context = context_of(options.checkpoints, options.cache)
    context.checkpoints = FolderCheckpoints(work / f"{options.domain}.state")
    state, size = context.base.state_dict(), context.base.image_size
    path = options.classifier or work / f"{options.domain}.safetensors"
    if not path.exists():
        save_edit(path, domain_classifier(options.domain, options.iterations, options.learn, context), state)
    photos = world.render(world.sample(options.count, UNSEEN_SEED), "photo", size)
    targets = world.render(world.sample(options.count, TARGET_SEED), options.domain, size)
    bases = {name: load_edit(file, state) for name, file in options.bases}
    classifier = load_edit(path, state)
    if options.ship:
        note = f"{command_line('core.pretrain.translation_quality')}; EGSDE's domain classifier, not a tuned base"
        ship(options.ship / f"egsde_{options.domain}.safetensors", classifier, f"Photo or {options.domain}", {}, note, context)
    extractor = best_extractor(context.clip, context.device)
    rows, shown = [], []
    settings = settings_of(size, options.steps, options.return_step)
    for row, images in compare(bases, classifier, settings, photos, targets, extractor, context):
        rows.append(row)
        shown.append(images[:SHOWN])
        print(row, flush=True)
    write_sheet(torch.cat(shown), work / f"{options.domain}.png", columns=SHOWN)
    table = pd.DataFrame(rows).to_markdown(index=False, floatfmt=".3f")
    note = (
        f"{options.count} unseen portraits towards {options.domain}, from t = {options.return_step} in {options.steps} steps; EGSDE's "
        f"classifier tells {classifier.card.metrics['accuracy_t300']:.1%} right at t = 300. LPIPS: {context.perceptual.full_name}; "
        f"FID and KID: {extractor.name}"
    )
    out = options.out or Path(f"benchmarks/translation_{options.domain}.md")
    write_text(out, f"# Translation over tuned bases\n\n`{command_line('core.pretrain.translation_quality')}`: {note}.\n\n{table}\n")


if __name__ == "__main__":
    run_command(main)

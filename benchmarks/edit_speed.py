"""Seconds an edited image: DiffusionCLIP the way it was published, and the way this lab does it, in one run.

    python -m benchmarks.edit_speed            # embedded base and a random 256² network; rewrites benchmarks/edit_speed.md

Published: one image at a time in float32; each edit inverts the image anew (39 calls of the network) and generates it twice, a
reconstruction with the original model and the edit. Ours: `DiffusionCLIP.edit`, as the page calls it, on whole batches, in the best number
format of the device, channels last, from stored trajectories. The edit has the base's own weights: as fast as any other, and the picture
it should give is known, so that the table can say what the speed costs.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers import UNet2DModel
from torch import Tensor

from benchmarks.edit_speed_table import Row, write_table
from core.data.trajectories import TrajectoryStore
from core.methods import METHODS
from core.methods.diffusionclip_settings import DiffusionCLIPEdit
from core.metrics.image import psnr
from core.models.base import Base, load_base
from core.models.precision import best_dtype
from core.process.sampling import generate, invert, last
from core.process.timesteps import paper_timesteps
from core.types import Context, Edit, EditCard, EditRequest, EditResult, EpsModel
from core.worlds.portraits import render, sample

RETURN_STEP, INVERSION_STEPS, GENERATION_STEPS = 601, 40, (40, 6)
GIGABYTE = 2**30
PUBLISHED = "published, batch 1, float32"


@dataclass
class Timing:
    """What one timed block took: wall clock, and evaluations of the network (one image through it once is one)."""

    seconds: float = 0.0
    calls: int = 0


def ddpm_unet(image_size: int = 256, width: int = 128) -> UNet2DModel:
    """Ho's DDPM architecture for 256² with random weights, 113,673,219 at width 128: the kind of network DiffusionCLIP was published on."""
    down = ["DownBlock2D"] * 4 + ["AttnDownBlock2D", "DownBlock2D"]
    return UNet2DModel(
        sample_size=image_size,
        block_out_channels=tuple(width * factor for factor in (1, 1, 2, 2, 4, 4)),
        layers_per_block=2,
        down_block_types=tuple(down),
        up_block_types=tuple(name.replace("Down", "Up") for name in reversed(down)),
        downsample_padding=0,
        freq_shift=1,
        flip_sin_to_cos=False,
        attention_head_dim=None,
        norm_eps=1e-6,
    )


@contextmanager
def counted(unet: UNet2DModel) -> Iterator[Callable[[], int]]:
    """Counts the images that pass through the network, and through copies made of it meanwhile: a closure survives `deepcopy` as itself."""
    total = 0

    def count(_module: torch.nn.Module, arguments: tuple[Tensor, ...], _output: object) -> None:
        nonlocal total
        total += arguments[0].shape[0]

    hook = unet.register_forward_hook(count)
    yield lambda: total
    hook.remove()


@contextmanager
def timed(calls: Callable[[], int], device: torch.device) -> Iterator[Timing]:
    """Times the block, whatever a GPU still has to do included."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    timing, before, start = Timing(), calls(), time.perf_counter()
    yield timing
    wait()
    timing.seconds, timing.calls = time.perf_counter() - start, calls() - before


def plain(base: Base) -> tuple[UNet2DModel, EpsModel]:
    """The base as published code runs it: float32, PyTorch's own memory layout, nothing kept."""
    unet = copy.deepcopy(base.unet).to(memory_format=torch.contiguous_format)
    return unet, lambda x, t: unet(x, t).sample[:, :3]


def published_edit(original: EpsModel, tuned: EpsModel, image: Tensor, generation_steps: int, base: Base) -> Tensor:
    """One image `(1, 3, H, W)`: inverted, reconstructed with the original model, generated with the tuned one."""
    latent = last(invert(original, image, paper_timesteps(INVERSION_STEPS, RETURN_STEP), base.schedule))
    grid = paper_timesteps(generation_steps, RETURN_STEP)
    last(generate(original, latent, grid, base.schedule))
    return last(generate(tuned, latent, grid, base.schedule))


def measure_published(base: Base, images: Tensor, generation_steps: int) -> Row:
    unet, eps = plain(base)
    eps(images[:1], torch.zeros(1, dtype=torch.long, device=base.device))  # the first call chooses algorithms
    with counted(unet) as calls, timed(calls, base.device) as timing:
        edited = torch.cat([published_edit(eps, eps, image[None], generation_steps, base) for image in images])
    return row(base, PUBLISHED, generation_steps, timing, images, edited)


def measure_ours(base: Base, images: Tensor, generation_steps: int, batch: int, folder: Path) -> list[Row]:
    """The first edit of each image, which inverts it, and the next one, which finds its trajectory stored."""
    context = Context(base=base, device=base.device, dtype=base.dtype, store=TrajectoryStore(folder, GIGABYTE, 4 * GIGABYTE))
    edit = Edit(EditCard(name="the base itself", method="diffusionclip", base_fingerprint=base.fingerprint), dict(base.state_dict()))
    settings = DiffusionCLIPEdit(return_step=RETURN_STEP, generation_steps=generation_steps)
    base.eps(images[:batch], torch.zeros(len(images[:batch]), dtype=torch.long, device=base.device))

    def run() -> Tensor:
        requests = [EditRequest(part, settings, (edit,)) for part in images.split(batch)]
        return torch.cat([result_of(request, context) for request in requests])

    rows = []
    with counted(base.unet) as calls:
        for when in ("first edit", "trajectory stored"):
            with timed(calls, base.device) as timing:
                edited = run()
            way = f"ours, {when}, batch {batch}, {str(base.dtype).removeprefix('torch.')}"
            rows.append(row(base, way, generation_steps, timing, images, edited))
    return rows


def result_of(request: EditRequest, context: Context) -> Tensor:
    """The images that an edit ends with."""
    return next(event.images for event in METHODS["diffusionclip"].edit(request, context) if isinstance(event, EditResult))


def row(base: Base, way: str, generation_steps: int, timing: Timing, images: Tensor, edited: Tensor) -> Row:
    """A timing as a row of the table, an image; the edit's weights are the base's, so its PSNR is that of a reconstruction."""
    decibels = psnr(edited.to(images).clamp(-1, 1), images).mean().item()
    count = len(images)
    return Row(base.name, way, generation_steps, timing.calls / count, timing.seconds / count, f"measured on {count} images", decibels)


def measure_base(base: Base, images: Tensor, batch: int) -> list[Row]:
    rows = []
    for steps in GENERATION_STEPS:
        rows.append(measure_published(base, images, steps))
        for size in (batch, 1):
            with tempfile.TemporaryDirectory() as folder:
                rows += measure_ours(base, images, steps, size, Path(folder))
    return rows


def seconds_a_call(eps: EpsModel, x: Tensor, repeats: int) -> float:
    """Seconds that one image takes through the network once, the mean of `repeats` calls after one to warm up."""
    t = torch.full((len(x),), 301, dtype=torch.long, device=x.device)
    eps(x, t)
    start = time.perf_counter()
    for _ in range(repeats):
        checksum = eps(x, t).sum().item()  # .item() waits for a GPU
    assert checksum == checksum, "the random network answers with NaN"
    return (time.perf_counter() - start) / (repeats * len(x))


def scale(rows: list[Row], base: Base, batch: int, repeats: int) -> list[Row]:
    """The same rows for a network too slow to walk with: calls counted on the small base × seconds a call measured on this one."""
    size = base.image_size
    x = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(0)).to(base.device)
    plain_seconds = seconds_a_call(plain(base)[1], x[:1], repeats)
    ours = {f"batch {n},": seconds_a_call(base.eps, x[:n], repeats) for n in (batch, 1)}

    def seconds(way: str) -> float:
        return plain_seconds if way == PUBLISHED else next(value for name, value in ours.items() if name in way)

    note = f"calls × seconds a call, mean of {repeats}"
    return [replace(r, model=base.name, image_seconds=r.calls * seconds(r.way), how=note, psnr=None) for r in rows]


def parse(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Seconds an edited image, the published way and ours.")
    parser.add_argument("--base", type=Path, default=Path("checkpoints/base"), help="the base to walk with (default: %(default)s)")
    parser.add_argument("--images", type=int, default=8, help="how many portraits are edited (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="our batch size (default: %(default)s)")
    parser.add_argument("--large-size", type=int, default=256, help="pixels of the random DDPM network (default: %(default)s)")
    parser.add_argument("--large-width", type=int, default=128, help="its channels (default: %(default)s, as published)")
    parser.add_argument("--repeats", type=int, default=3, help="timed calls of the random network (default: %(default)s)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/edit_speed.md"), help="the table (default: %(default)s)")
    return parser.parse_args(words)


def main(words: list[str] | None = None, say: Callable[[str], None] = print) -> None:
    given = parse(words)
    device = torch.device(given.device)
    base = load_base(given.base, device)
    images = render(sample(given.images, seed=20_000), "photo", base.image_size).to(device)
    rows = measure_base(base, images, given.batch)
    torch.manual_seed(0)
    name = f"random DDPM network, {given.large_size}²"
    large = Base(ddpm_unet(given.large_size, given.large_width), name=name, device=device, dtype=best_dtype(device))
    rows += scale(rows, large, given.batch, given.repeats)
    say(write_table(given.out, rows, device, words))


if __name__ == "__main__":
    main()

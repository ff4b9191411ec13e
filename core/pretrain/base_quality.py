"""What a base is worth: reconstruction of unseen portraits, and free samples that an independent judge takes for photo portraits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torchvision.utils import make_grid

from core.data.images import to_pil
from core.models.base import Base
from core.models.judge import load_judge
from core.models.round_trip import precision_cost, round_trip_psnr
from core.process.noise import ItemNoise
from core.process.sampling import generate, last
from core.process.timesteps import paper_timesteps
from core.worlds import portraits as world

UNSEEN_SEED = 900_001  # of portraits that no recipe trains on
SAMPLE_STEPS = 50
SCALES = (0.0, 1.0)  # of attention guidance, for the figures of free samples
CHUNK = 16
ROUND_TRIPS = ((301, 40, 40), (601, 40, 40), (601, 40, 6))  # return step, inversion steps, generation steps


@torch.no_grad()
def free_samples(base: Base, count: int, first_seed: int = 0, clip_x0: bool = True, guidance: float = 0.0) -> Tensor:
    """Images `(count, 3, H, W)` from pure noise by DDIM-50 from t = 999, η = 0; item i draws its noise from seed first_seed + i.

    guidance: the scale of perturbed-attention guidance (core/models/attention.py).
    """
    chunks = []
    for start in range(first_seed, first_seed + count, CHUNK):
        seeds = list(range(start, min(start + CHUNK, first_seed + count)))
        x = ItemNoise(seeds, base.device).normal((3, base.image_size, base.image_size))
        chunks.append(last(generate(base.guided(guidance), x, paper_timesteps(SAMPLE_STEPS, 999), base.schedule, clip_x0=clip_x0)))
    return torch.cat(chunks).clamp(-1, 1)


@torch.no_grad()
def measure(base: Base, samples: Mapping[float, Tensor], judge_folder: Path, count: int) -> dict[str, float]:
    """The figures of the card: PSNR of round trips in dB, the share of free samples judged photo portraits, and of true portraits.

    samples: free samples by the scale of their guidance.
    """
    unseen = world.render(world.sample(count, UNSEEN_SEED), "photo", base.image_size)
    judge = load_judge(judge_folder)

    def judged_photo(images: Tensor) -> float:
        return (judge.domains(images).argmax(dim=1) == world.DOMAINS.index("photo")).float().mean().item()

    figures = {f"reconstruction dB ({t0}, {up}/{down})": round_trip_psnr(base, unseen, t0, up, down) for t0, up, down in ROUND_TRIPS}
    t0, up, _ = ROUND_TRIPS[0]
    figures |= {
        f"of which bfloat16 costs ({t0}, {up}/{up}, 16 portraits)": precision_cost(base, unseen[:16], t0=t0, steps=up)["cost_db"],
        **{f"free samples judged photo ({how(scale)})": judged_photo(images) for scale, images in samples.items()},
        "true photos judged photo": judged_photo(unseen),
    }
    return {name: round(value, 3) for name, value in figures.items()} | {"portraits": count}


def how(scale: float) -> str:
    """How free samples are drawn, in words."""
    return f"DDIM-{SAMPLE_STEPS}, x0 clipped" + (f", attention guidance {scale:g}" if scale else "")


def write_sheet(images: Tensor, path: Path, columns: int | None = None) -> None:
    """The images in a grid, near-square without `columns`, as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    to_pil(make_grid(images.cpu(), nrow=columns or math.ceil(math.sqrt(len(images))), padding=2, pad_value=1.0)).save(path)

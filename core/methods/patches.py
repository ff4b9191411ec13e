"""How differently the small patches of two sets of pictures are distributed: their colours, lines and strokes, wherever they stand.

The sliced Wasserstein distance of patches (Elnekave and Weiss, "Generating Natural Images with Direct Patch Distributions Matching",
ECCV 2022, section 3): patches are projected onto random directions, where the distance of two distributions is that of their sorted values.

What differs from the paper: it moves the pixels of one picture towards one other; here sets are compared, so that dark hair may stay dark
where others are blond, and patches of two sizes count at once, in the picture and in smaller ones: those see where a background ends. Where
the pictures are aligned, as faces are, each region can be compared with the same region alone: a mouth is then drawn as mouths are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FILTERS = 32  # random directions for each size of patch
SIDES = (3, 7)  # pixels of a patch
TARGETS_AN_IMAGE = 4  # a few pictures alone say too little about a domain


def patch_distance(x: Tensor, targets: Tensor, generator: torch.Generator, sizes: int = 2, regions: int = 1) -> Tensor:
    """Sliced Wasserstein-1 distance between the patches of x `(B, 3, H, W)` and of random ones of targets `(N, 3, H', W')`, `()`, ≥ 0.

    generator: on the CPU; directions and targets are drawn from it. sizes: of the pictures, each half of the one before, as long as the
    largest patch fits in. regions: cells a side, each compared for itself. Both in [-1, 1] and at least 7 pixels a side; gradient into x.
    """
    some = targets[torch.randperm(len(targets), generator=generator)[: TARGETS_AN_IMAGE * len(x)].to(targets.device)]
    distances = []
    a, b = x, some.to(x)
    for _ in range(sizes):
        if min(*a.shape[-2:], *b.shape[-2:]) < max(SIDES):
            break
        distances += [_along_directions(a, b, side, regions, generator) for side in SIDES]
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return torch.stack(distances).mean()


def _along_directions(a: Tensor, b: Tensor, side: int, regions: int, generator: torch.Generator) -> Tensor:
    """Mean distance of the sorted projections of all patches of a region of a and as many, drawn at random, of the same region of b."""
    filters = torch.randn(FILTERS, a.shape[1], side, side, generator=generator)
    filters = (filters / filters.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).to(a)
    of_a, of_b = (_by_region(F.conv2d(pictures, filters), regions) for pictures in (a, b))
    drawn = torch.randint(of_b.shape[-1], (of_a.shape[-1],), generator=generator).to(a.device)
    return (of_a.sort(dim=-1).values - of_b[..., drawn].sort(dim=-1).values).abs().mean()


def _by_region(projected: Tensor, regions: int) -> Tensor:
    """Projections `(B, F, h, w)` → `(F, cells, B × those of a cell)`; what the cells leave over lies around them and does not count."""
    height, width = projected.shape[-2:]
    down, across = min(regions, height), min(regions, width)
    h, w = height // down, width // across
    top, left = (height - down * h) // 2, (width - across * w) // 2
    cells = projected[..., top : top + down * h, left : left + across * w].unflatten(-1, (across, w)).unflatten(-3, (down, h))
    return cells.permute(1, 2, 4, 0, 3, 5).flatten(3).flatten(1, 2)

"""How differently the small patches of two sets of pictures are distributed: their colours, lines and strokes, wherever they stand.

The sliced Wasserstein distance of patches (Elnekave and Weiss, "Generating Natural Images with Direct Patch Distributions Matching",
ECCV 2022, section 3): patches are projected onto random directions, where the distance of two distributions is that of their sorted values.

What differs from the paper: it moves the pixels of one picture towards one other; here sets are compared, so that dark hair may stay dark
where others are blond, and patches of two sizes count at once.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FILTERS = 32  # random directions for each size of patch
SIDES = (3, 7)  # pixels of a patch
SCALES = (1, 2)  # times the picture is made smaller
TARGETS_AN_IMAGE = 4  # a few pictures alone say too little about a domain


def patch_distance(x: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
    """Sliced Wasserstein-1 distance between the patches of x `(B, 3, H, W)` and of random ones of targets `(N, 3, H', W')`, `()`, ≥ 0.

    generator: on the CPU; directions and targets are drawn from it. Both in [-1, 1] and at least 14 pixels a side; gradient into x.
    """
    some = targets[torch.randperm(len(targets), generator=generator)[: TARGETS_AN_IMAGE * len(x)].to(targets.device)]
    distances = []
    for scale in SCALES:
        a, b = F.avg_pool2d(x, scale), F.avg_pool2d(some.to(x), scale)
        distances += [_along_directions(a, b, side, generator) for side in SIDES]
    return torch.stack(distances).mean()


def _along_directions(a: Tensor, b: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Mean distance of the sorted projections of all patches of a and as many, drawn at random, of b."""
    filters = torch.randn(FILTERS, a.shape[1], side, side, generator=generator)
    filters = (filters / filters.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).to(a)
    of_a, of_b = (F.conv2d(pictures, filters).transpose(0, 1).flatten(1) for pictures in (a, b))
    drawn = torch.randint(of_b.shape[1], (of_a.shape[1],), generator=generator).to(a.device)
    return (of_a.sort(dim=1).values - of_b[:, drawn].sort(dim=1).values).abs().mean()

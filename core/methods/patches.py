"""How differently the small patches of two sets of pictures are distributed: their colours, lines and strokes, wherever they stand.

The sliced Wasserstein distance of patches (Elnekave and Weiss, "Generating Natural Images with Direct Patch Distributions Matching",
ECCV 2022, section 3): patches are projected onto random directions, where the distance of two distributions is that of their sorted
values. Few random directions meet the strokes and edges that a style is made of; patches of the pictures do, so they can be directions too.

What differs from the paper: it moves the pixels of one picture towards one other; here sets are compared, so that dark hair may stay dark
where others are blond, and patches of two sizes count at once, in the picture and in smaller ones: those see where a background ends. Where
the pictures are aligned, as faces are, each region can be compared with the same region alone: a mouth is then drawn as mouths are.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Directions = Literal["random", "seen"]
FILTERS = 32  # directions for each size of patch
OF_EACH = 12  # of them, where they are seen: patches of either set. Of the larger size alone; the smaller one is for colours
SHORTEST = 1e-6  # of a direction: a patch of one colour has none
SIDES = (3, 7)  # pixels of a patch
TARGETS_AN_IMAGE = 4  # a few pictures alone say too little about a domain


def patch_distance(
    x: Tensor, targets: Tensor, generator: torch.Generator, sizes: int = 2, regions: int = 1, directions: Directions = "random"
) -> Tensor:
    """Sliced Wasserstein-1 distance between the patches of x `(B, 3, H, W)` and of random ones of targets `(N, 3, H', W')`, `()`, ≥ 0.

    generator: on the CPU; directions and targets are drawn from it. sizes: of the pictures, each half of the one before, as long as the
    largest patch fits in. regions: cells a side, each compared for itself. directions: "random", or "seen": of the larger
    patches' directions most are patches of x and of the targets. Both in [-1, 1] and at least 7 pixels a side; gradient into x.
    """
    some = targets[torch.randperm(len(targets), generator=generator)[: TARGETS_AN_IMAGE * len(x)].to(targets.device)]
    distances = []
    a, b = x, some.to(x)
    for _ in range(sizes):
        if min(*a.shape[-2:], *b.shape[-2:]) < max(SIDES):
            break
        for side in SIDES:
            filters = _filters(a, b, side, directions, generator)
            distances.append(_along(filters, a, b, regions, generator))
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return torch.stack(distances).mean()


def _filters(a: Tensor, b: Tensor, side: int, directions: Directions, generator: torch.Generator) -> Tensor:
    """Directions that patches are projected onto, `(FILTERS, C, side, side)`, each of length 1."""
    of_each = OF_EACH if directions == "seen" and side == max(SIDES) else 0
    filters = torch.randn(FILTERS - 2 * of_each, a.shape[1], side, side, generator=generator).to(a)
    if of_each:
        filters = torch.cat([filters, *(_some_patches(pictures, side, of_each, generator) for pictures in (a, b))])
    return F.normalize(filters.flatten(1), eps=SHORTEST).view_as(filters)


def _some_patches(pictures: Tensor, side: int, count: int, generator: torch.Generator) -> Tensor:
    """Patches drawn at random, `(count, C, side, side)`, their mean colour taken out: what they have to say is their shape."""
    room = len(pictures), pictures.shape[-2] - side + 1, pictures.shape[-1] - side + 1
    places = torch.stack([torch.randint(size, (count,), generator=generator) for size in room], dim=1)
    patches = [pictures[k, :, y : y + side, x : x + side].detach() for k, y, x in places.tolist()]
    return torch.stack([patch - patch.mean(dim=(1, 2), keepdim=True) for patch in patches])


def _along(filters: Tensor, a: Tensor, b: Tensor, regions: int, generator: torch.Generator) -> Tensor:
    """Mean distance of the sorted projections of all patches of a region of a and as many, drawn at random, of the same region of b."""
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

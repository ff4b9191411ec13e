"""How differently the small patches of two sets of pictures are distributed: their colours, lines and strokes, wherever they stand.

The sliced Wasserstein distance of patches (Elnekave and Weiss, "Generating Natural Images with Direct Patch Distributions Matching",
ECCV 2022, section 3): patches are projected onto random directions, where the distance of two distributions is that of their sorted
values. What is large in a picture outweighs strokes of a pixel's width there, so these have a distance of their own: of what is finer than
three pixels, as Laplacian pyramids part it from the rest (as in the sliced Wasserstein distance of Karras et al., "Progressive Growing of
GANs", ICLR 2018, section 5), and along patches of the targets themselves, as few random directions meet a stroke.

What differs from the papers: the first moves the pixels of one picture towards one other; here sets are compared, so that dark hair may
stay dark where others are blond, and patches of two sizes count at once, in the picture and in smaller ones: those see where a background
ends. Where the pictures are aligned, as faces are, each region can be compared with the same region alone: a mouth is then drawn as mouths
are.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

FILTERS = 32  # directions for each size of patch
SIDES = (3, 7)  # pixels of a patch
STROKE = 7  # pixels of a patch of strokes
FINE = 3  # pixels of the window whose mean is taken out of strokes
SHORTEST = 1e-6  # of a direction: where the targets are of one colour there is none
TARGETS_AN_IMAGE = 4  # a few pictures alone say too little about a domain


def patch_distance(x: Tensor, targets: Tensor, generator: torch.Generator, sizes: int = 2, regions: int = 1) -> Tensor:
    """Sliced Wasserstein-1 distance between the patches of x `(B, 3, H, W)` and of random ones of targets `(N, 3, H', W')`, `()`, ≥ 0.

    generator: on the CPU; directions and targets are drawn from it. sizes: of the pictures, each half of the one before, as long as the
    largest patch fits in. regions: cells a side, each compared for itself. Both in [-1, 1] and at least 7 pixels a side; gradient into x.
    """
    distances = []
    for a, b in _pyramid(x, targets, sizes, generator):
        for side in SIDES:
            filters = torch.randn(FILTERS, a.shape[1], side, side, generator=generator).to(a)
            distances.append(_along(_of_length_1(filters), a, b, regions, generator))
    return torch.stack(distances).mean()


def stroke_distance(x: Tensor, targets: Tensor, generator: torch.Generator, sizes: int = 2, regions: int = 1) -> Tensor:
    """The same of what is fine in the pictures alone, along patches of the targets' own: `()`, ≥ 0. Arguments as of `patch_distance`."""
    distances = []
    for a, b in _pyramid(x, targets, sizes, generator):
        fine_a, fine_b = _fine(a), _fine(b)
        distances.append(_along(_of_length_1(_some_patches(fine_b, generator)), fine_a, fine_b, regions, generator))
    return torch.stack(distances).mean()


def _pyramid(x: Tensor, targets: Tensor, sizes: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """x and some of the targets, drawn at random, in each size that holds a patch."""
    drawn = torch.randperm(len(targets), generator=generator)[: TARGETS_AN_IMAGE * len(x)]
    a, b = x, targets[drawn.to(targets.device)].to(x)
    for _ in range(sizes):
        if min(*a.shape[-2:], *b.shape[-2:]) < max(*SIDES, STROKE):
            return
        yield a, b
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)


def _fine(pictures: Tensor) -> Tensor:
    """What is left of them when the mean of the pixels around is taken out."""
    around = FINE // 2
    return pictures - F.avg_pool2d(F.pad(pictures, [around] * 4, mode="reflect"), FINE, stride=1)


def _some_patches(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Patches drawn at random, `(FILTERS, C, STROKE, STROKE)`."""
    room = len(pictures), pictures.shape[-2] - STROKE + 1, pictures.shape[-1] - STROKE + 1
    places = torch.stack([torch.randint(size, (FILTERS,), generator=generator) for size in room], dim=1)
    return torch.stack([pictures[k, :, y : y + STROKE, x : x + STROKE] for k, y, x in places.tolist()])


def _of_length_1(filters: Tensor) -> Tensor:
    return F.normalize(filters.flatten(1), eps=SHORTEST).view_as(filters)


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

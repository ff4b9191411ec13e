"""How much a model that saw a few images varies: intra-LPIPS and nearest-LPIPS (Ojha et al., CVPR 2021; Zhu et al., "DomainStudio", 2023),
and how many of its pictures are nearly the same.

All go by a perceptual distance (core/metrics/perceptual.py). Only with LPIPS itself are they what papers report: its name goes with them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from core.types import ShiftlabError

Distance = Callable[[Tensor, Tensor], Tensor]  # images, images → (B,)
Vectors = Callable[[Tensor], Tensor]  # images → (B, D), whose squared Euclidean distances count; see core/metrics/perceptual.py
BATCH = 64  # pairs compared together
COMPARED_SIDE = 64  # pixels of the shorter side at which many pictures are compared: copies show, and thousands fit into memory


def intra_lpips(perceptual: Distance, samples: Tensor, shots: Tensor) -> float:
    """Each sample goes to the training image nearest to it; the mean distance of all pairs within each group, averaged over the groups.

    samples `(N, 3, H, W)`, shots `(K, 3, H, W)`. 0 means that every sample copies a training image. Groups of one have no pairs and do
    not count. Raises ShiftlabError where no two samples share a training image.
    """
    nearest = distances(perceptual, samples, shots).argmin(dim=1)
    means = []
    for shot in range(len(shots)):
        group = samples[nearest == shot]
        if len(group) > 1:
            i, j = torch.triu_indices(len(group), len(group), offset=1)
            means.append(_of_pairs(perceptual, group, group, i, j).mean())
    if not means:
        raise ShiftlabError("No two samples lie nearest to the same training image. Take more samples.")
    return float(torch.stack(means).mean())


def nearest_lpips(perceptual: Distance, samples: Tensor, shots: Tensor) -> float:
    """Mean distance of the samples to the training image nearest to each. 0 means that the training images were learned by heart."""
    return float(distances(perceptual, samples, shots).amin(dim=1).mean())


def distances(perceptual: Distance, samples: Tensor, shots: Tensor) -> Tensor:
    """`(N, K)`, of every sample to every training image."""
    i, j = torch.cartesian_prod(torch.arange(len(samples)), torch.arange(len(shots))).unbind(dim=1)
    return _of_pairs(perceptual, samples, shots, i, j).view(len(samples), len(shots))


@torch.no_grad()
def _of_pairs(perceptual: Distance, a: Tensor, b: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Distances `(P,)` of a[i] to b[j], on the CPU."""
    parts = zip(i.split(BATCH), j.split(BATCH), strict=True)
    return torch.cat([perceptual(a[at.to(a.device)], b[to.to(b.device)]).float().cpu() for at, to in parts])


@torch.no_grad()
def pairwise(vectors: Vectors, images: Tensor) -> Tensor:
    """Distances `(N, N)` of all pictures `(N, 3, H, W)` to one another, on the CPU. Large pictures are compared small."""
    found = torch.cat([vectors(part).float().cpu() for part in compared_size(images).split(BATCH)])
    return torch.cdist(found, found).square().fill_diagonal_(0.0)


def compared_size(images: Tensor) -> Tensor:
    """Pictures `(N, 3, H, W)` with a shorter side of COMPARED_SIDE at most; of many, so much fits into memory."""
    scale = COMPARED_SIDE / min(images.shape[-2:])
    return F.interpolate(images, scale_factor=scale, mode="bilinear", antialias=True) if scale < 1.0 else images


def mean_distance(distances: Tensor) -> float:
    """Of all pairs of a square of distances `(N, N)`; 0 where there is no pair."""
    i, j = torch.triu_indices(len(distances), len(distances), offset=1)
    return float(distances[i, j].mean()) if len(i) else 0.0


def near_duplicates(distances: Tensor, below: float) -> list[tuple[int, int, float]]:
    """The pairs (i, j, distance) with i < j that are closer than `below`, the closest first."""
    i, j = torch.triu_indices(len(distances), len(distances), offset=1)
    close = distances[i, j] < below
    found = zip(i[close].tolist(), j[close].tolist(), distances[i, j][close].tolist(), strict=True)
    return sorted(found, key=lambda pair: pair[2])

"""What a picture may suffer without becoming another picture, and the half-way pictures between two domains.

An image that a diffusion model is editing is never as clean as a rendered one: it is a little blurred or noisy, its colours drift, and for
most of the way it is neither photo nor sketch. A CLIP that has never seen such images has no useful gradient there.
All functions take images `(B, 3, H, W)` in [-1, 1] and draw from the global generator, one draw an item.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

CHROMA_SHARE = 0.3  # how much of a domain lies in its colours, when colours and lightness are exchanged


def per_item(count: int, low: float, high: float, probability: float = 1.0) -> Tensor:
    """`(count, 1, 1, 1)` uniform numbers in [low, high), zero with probability 1 − `probability`."""
    value = low + (high - low) * torch.rand(count, 1, 1, 1)
    return value * (torch.rand(count, 1, 1, 1) < probability)


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """x smoothed by a Gaussian of `sigma` pixels, edges repeated."""
    radius = math.ceil(2.5 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, -1)
    padded = F.pad(x, (radius, radius, radius, radius), mode="replicate")
    rows = F.conv2d(padded, kernel.unsqueeze(2), groups=3)
    return F.conv2d(rows, kernel.unsqueeze(3), groups=3)


def soften(x: Tensor, probability: float = 0.4) -> Tensor:
    """x mixed with its low frequencies, each item by its own share."""
    share = per_item(len(x), 0.2, 1.0, probability)
    return x + share * (gaussian_blur(x, 1.0) - x)


def add_noise(x: Tensor, most: float = 0.25, probability: float = 0.5) -> Tensor:
    """x plus white noise, each item with its own standard deviation up to `most`."""
    return x + per_item(len(x), 0.0, most, probability) * torch.randn_like(x)


def colour_field(n: int, size: torch.Size) -> Tensor:
    """`(n, 3, H, W)` smooth random colours with a standard deviation of about 1."""
    return F.interpolate(torch.randn(n, 3, 3, 3), size=size, mode="bilinear", align_corners=True)


def recolour(x: Tensor) -> Tensor:
    """Saturation, contrast, channel gains, lightness, and a smooth field that tints one side or the background most.

    Weak: a sketch in pink is a worse sketch, and an edit would end there (see `spoiled`).
    """
    n = len(x)
    grey = x.mean(dim=1, keepdim=True)
    x = grey + (1 + per_item(n, -0.15, 0.15)) * (x - grey)
    gain = 1 + 0.04 * torch.randn(n, 3, 1, 1) + per_item(n, -0.08, 0.08)
    x = gain * x + 0.04 * torch.randn(n, 1, 1, 1) + per_item(n, 0.0, 0.12, 0.5) * colour_field(n, x.shape[-2:])
    return x.clamp(-1, 1)


def move(x: Tensor, groups: int) -> Tensor:
    """Scale by ±10 % and shift by up to 5 pixels of 64; half of the groups stay. Items k and k + groups move alike."""
    moved = (torch.rand(groups) < 0.5).float()
    scale = 1 + 0.1 * (2 * torch.rand(groups) - 1) * moved
    shift = 0.15 * (2 * torch.rand(groups, 2) - 1) * moved[:, None]
    theta = torch.zeros(groups, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = scale, scale, shift
    grid = F.affine_grid(theta.repeat(len(x) // groups, 1, 1), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def degrade(x: Tensor) -> Tensor:
    """Colours, noise and softness. Half-denoised pictures come about where noise was softened: the two take place in either order."""
    x = recolour(x)
    early = (torch.rand(len(x), 1, 1, 1) < 0.5).float()
    noisy = add_noise(x)
    x = soften(early * noisy + (1 - early) * x)
    return early * x + (1 - early) * add_noise(x)


def spoiled(b: Tensor) -> tuple[Tensor, Tensor]:
    """b tinted in places, and with its contrasts overdone, and how much of b that leaves: `(B, 3, H, W)` and `(B,)` in [0.4, 1].

    This is how an edit looks that was carried too far; a cosine that rates it below b brings it back.
    """
    n = len(b)
    tint, excess = per_item(n, 0.0, 0.4), per_item(n, 0.0, 0.8, 0.5)
    mean = b.mean(dim=(2, 3), keepdim=True)
    worse = mean + (1 + excess) * (b - mean) + tint * (colour_field(n, b.shape[-2:]) + 0.5 * torch.randn(n, 3, 1, 1))
    return worse.clamp(-1, 1), (1 - 0.75 * tint - 0.375 * excess).flatten()


def half_way(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures between a and b, and how much of b is in each: `(B, 3, H, W)` and `(B,)` in [0, 1].

    Three in ten are pixel blends; three in ten are b inside soft blobs and a outside, so that every place counts, background too; one in
    ten has the colours of one and the lightness of the other; three in ten are b carried too far.
    """
    n = len(a)
    kind = torch.rand(n, 1, 1, 1)
    mixed, weight = blend(a, b, kind < 0.3)
    for chosen, (images, share) in ((kind > 0.6, _exchange(a, b)), (kind > 0.7, spoiled(b))):
        mixed, weight = torch.where(chosen, images, mixed), torch.where(chosen.flatten(), share, weight)
    return mixed, weight


def blend(a: Tensor, b: Tensor, even: Tensor) -> tuple[Tensor, Tensor]:
    """a and b mixed, by one share everywhere where `even` `(B, 1, 1, 1)`, else b in soft blobs that cover the share."""
    n = len(a)
    share = torch.rand(n, 1, 1, 1)
    noise = F.interpolate(torch.randn(n, 1, 5, 5), size=a.shape[-2:], mode="bilinear", align_corners=True)
    threshold = torch.stack([item.quantile(1 - s) for item, s in zip(noise.flatten(1), share.flatten(), strict=True)])
    blobs = torch.sigmoid(8 * (noise - threshold.view(n, 1, 1, 1)))
    mask = torch.where(even, share.expand_as(blobs), blobs)
    return a + mask * (b - a), mask.mean(dim=(1, 2, 3))


def _exchange(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The colours of one on the lightness of the other."""
    colours_of_b = torch.rand(len(a), 1, 1, 1) < 0.5
    grey_a, grey_b = a.mean(dim=1, keepdim=True), b.mean(dim=1, keepdim=True)
    exchanged = torch.where(colours_of_b, grey_a + b - grey_b, grey_b + a - grey_a).clamp(-1, 1)
    return exchanged, torch.where(colours_of_b, CHROMA_SHARE, 1 - CHROMA_SHARE).flatten()

"""Signed distances, coverage and noise on a pixel grid: the drawing tools of the embedded worlds.

Everything is batched over items: a parameter is a column `(n, 1, 1)`, a field is `(n, H, W)`. Lengths are in half image widths, so the
picture spans [-1, 1] in x (to the right) and y (downwards). A signed distance is negative inside.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def grid(height: int, width: int | None = None) -> tuple[Tensor, Tensor]:
    """Pixel centres x, y, each `(1, height, width)`: x in [-1, 1], y in as many half widths. One number makes it square."""
    width = width or height
    across = (torch.arange(width) + 0.5) / width * 2 - 1
    down = ((torch.arange(height) + 0.5) / height * 2 - 1) * (height / width)
    y, x = torch.meshgrid(down, across, indexing="ij")
    return x[None], y[None]


def cover(distance: Tensor, softness: float | Tensor = 0.016) -> Tensor:
    """How much of each pixel lies inside, 0 … 1; `softness` is the width of the edge (one pixel of the supersampled grid by default)."""
    return (0.5 - distance / softness).clamp(0, 1)


def ellipse(x: Tensor, y: Tensor, rx: float | Tensor, ry: float | Tensor) -> Tensor:
    """First-order distance to an ellipse about the origin (value over gradient: exact on the edge, good near it)."""
    value = torch.sqrt((x / rx) ** 2 + (y / ry) ** 2 + 1e-8)
    slope = torch.sqrt((x / rx**2) ** 2 + (y / ry**2) ** 2 + 1e-8) / value
    return (value - 1) / slope


def box(x: Tensor, y: Tensor, half_width: float | Tensor, half_height: float | Tensor, radius: float | Tensor = 0.0) -> Tensor:
    """Distance to an axis-parallel box about the origin with rounded corners."""
    dx, dy = x.abs() - half_width + radius, y.abs() - half_height + radius
    return torch.sqrt(dx.clamp_min(0) ** 2 + dy.clamp_min(0) ** 2 + 1e-10) + torch.maximum(dx, dy).clamp_max(0) - radius


def capsule(x: Tensor, y: Tensor, ax: Tensor, ay: Tensor, bx: Tensor, by: Tensor, radius: float | Tensor) -> Tensor:
    """Distance to a thick segment from (ax, ay) to (bx, by)."""
    px, py, dx, dy = x - ax, y - ay, bx - ax, by - ay
    along = ((px * dx + py * dy) / (dx**2 + dy**2 + 1e-8)).clamp(0, 1)
    return torch.sqrt((px - along * dx) ** 2 + (py - along * dy) ** 2 + 1e-10) - radius


def arc(x: Tensor, y: Tensor, half_width: Tensor, sag: Tensor, radius: float | Tensor) -> Tensor:
    """Distance to a thick parabola y = sag·(1 − (x/half_width)²) over |x| ≤ half_width; its ends lie at y = 0."""
    inside = x.clamp(min=-half_width, max=half_width)
    curve = sag * (1 - (inside / half_width) ** 2)
    steep = 1 + (2 * sag * inside / half_width**2) ** 2
    return torch.sqrt((x - inside) ** 2 + (y - curve) ** 2 / steep + 1e-10) - radius


def smooth_union(a: Tensor, b: Tensor, width: float) -> Tensor:
    """Union of two shapes whose joint is rounded over `width`."""
    blend = (0.5 + 0.5 * (b - a) / width).clamp(0, 1)
    return b + (a - b) * blend - width * blend * (1 - blend)


def smoothstep(low: float, high: float, value: Tensor) -> Tensor:
    """0 below low, 1 above high, cubic between."""
    t = ((value - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def lattice(seeds: Tensor, rows: int, columns: int, salt: int) -> Tensor:
    """Uniform numbers `(n, rows, columns)` in [0, 1) that depend on each item's own seed only."""
    i = torch.arange(rows, dtype=torch.float64)[:, None]
    j = torch.arange(columns, dtype=torch.float64)[None]
    phase = i * 12.9898 + j * 78.233 + (seeds.double()[:, None, None] % 10007) * 0.61803 + salt * 3.7
    return torch.frac(torch.sin(phase) * 43758.5453).abs().float()


def noise(seeds: Tensor, size: int | tuple[int, int], cells: tuple[int, int], salt: int) -> Tensor:
    """Smooth value noise `(n, H, W)` in about [-1, 1], with cells = (rows, columns) of bumps; size: (H, W), or one number for both."""
    values = lattice(seeds, cells[0], cells[1], salt) * 2 - 1
    return F.interpolate(values[:, None], size=size, mode="bicubic", align_corners=False)[:, 0]


def warp(image: Tensor, dx: Tensor, dy: Tensor) -> Tensor:
    """Image `(n, C, H, W)` looked up at positions moved by (dx, dy), fields `(n, H, W)` in half widths."""
    x, y = grid(image.shape[-1])
    where = torch.stack([x + dx, y + dy], dim=-1)
    return F.grid_sample(image, where, mode="bilinear", padding_mode="reflection", align_corners=False)


def rotate(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates in a frame turned by `angle` radians."""
    c, s = torch.cos(angle), torch.sin(angle)
    return c * x + s * y, -s * x + c * y


def hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Colours `(n, 3)` in [0, 1] from hue (turns), saturation and value, each `(n,)`."""
    offsets = torch.tensor([0.0, 2 / 3, 1 / 3])
    wave = (torch.frac(hue[:, None] + offsets + 1) * 6 - 3).abs() - 1
    return value[:, None] * (1 + saturation[:, None] * (wave.clamp(0, 1) - 1))


def palette(stops: list[tuple[float, float, float]], position: Tensor) -> Tensor:
    """Colours `(n, 3)` along a list of stops, position `(n,)` in [0, 1], linear between neighbours."""
    table = torch.tensor(stops)
    place = position.clamp(0, 1) * (len(stops) - 1)
    low = place.floor().long().clamp_max(len(stops) - 2)
    part = (place - low)[:, None]
    return table[low] * (1 - part) + table[low + 1] * part


def degrees(angle: Tensor) -> Tensor:
    """Radians from degrees."""
    return angle * (math.pi / 180)

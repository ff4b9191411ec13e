"""Tools of all lights: sun on surfaces, haze, sky, lamps that shine on what is near them, and lights that glow in the lens."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.worlds import fields as f
from core.worlds.street_scene import Scene


def rgb(*values: float) -> Tensor:
    """One colour `(1, 3, 1, 1)`."""
    return torch.tensor(values)[None, :, None, None]


def mix(a: Tensor, b: Tensor, part: Tensor) -> Tensor:
    """Colours a and b `(n, 3, h, w)` mixed by part `(n, h, w)`."""
    return a + (b - a) * part[:, None]


def facing(scene: Scene, direction: Tensor) -> Tensor:
    """Cosine `(n, h, w)` between normals and a direction `(n, 3)`, 0 where it falls from behind."""
    return sum(scene.normal[:, k] * direction[:, k, None, None] for k in range(3)).clamp_min(0)


def veil(scene: Scene, reach: Tensor | float) -> Tensor:
    """How much of each pixel the air hides `(n, h, w)`; at `reach` metres it is 1 - 1/e."""
    return 1 - torch.exp(-scene.z / reach)


def height_in_sky(scene: Scene) -> Tensor:
    """0 at the horizon, 1 at the top of the picture `(n, h, w)`."""
    y, horizon = f.grid(*scene.x.shape[1:])[1], torch.tensor(scene.road.horizon).float()[..., None]
    return ((horizon - y) / (horizon - y.min())).clamp(0, 1).expand(scene.x.shape)


def clouds(scene: Scene, salt: int, low: float, high: float) -> Tensor:
    """Cloud cover `(n, h, w)` in [0, 1], finer towards the horizon's bands."""
    seeds, size = scene.streets.seeds, tuple(scene.x.shape[1:])
    coarse, middle, fine = (f.noise(seeds, size, cells, salt + k) for k, cells in enumerate(((6, 7), (12, 15), (28, 32))))
    bumps = 0.6 * coarse + 0.3 * middle + 0.2 * fine
    return f.smoothstep(low, high, bumps)


def bloom(light: Tensor, weights: tuple[float, ...]) -> Tensor:
    """What a lens makes of bright spots `(n, 3, h, w)`: halos of doubling width, each with its weight."""
    size, glow = light.shape[-2:], torch.zeros_like(light)
    for k, weight in enumerate(weights, 1):
        small = F.interpolate(light, size=(max(1, size[0] >> k), max(1, size[1] >> k)), mode="area")
        glow = glow + weight * F.interpolate(small, size=size, mode="bilinear", align_corners=False)
    return glow


def lamp_light(scene: Scene, reach: float) -> Tensor:
    """Light of the street lamps `(n, h, w)`: it falls off with the distance from each lamp, six metres above the ground."""
    light = torch.zeros_like(scene.x)
    for k in range(scene.lamps.shape[1]):
        x, z, there = (scene.lamps[:, k, i][:, None, None] for i in range(3))
        apart = (scene.x - x) ** 2 + (scene.z - z) ** 2 + (0.6 * (scene.y - 5.0)) ** 2
        light = light + there / (1 + apart / reach**2) ** 2
    return light


def own_beam(scene: Scene) -> Tensor:
    """Light of our own headlights `(n, h, w)`, low and straight ahead."""
    wide = torch.exp(-((scene.x / (1.2 + 0.16 * scene.z)) ** 2))
    return wide * torch.exp(-((scene.y / 1.3) ** 2)) * torch.exp(-scene.z / 17)


def grain(scene: Scene, cells: int, salt: int) -> Tensor:
    """Noise `(n, h, w)` of a sensor in about [-1, 1], with `cells` grains over the picture's height."""
    return f.noise(scene.streets.seeds, tuple(scene.x.shape[1:]), (cells, 2 * cells), salt)


def flakes(scene: Scene, rows: int, radius: float, share: float, slant: float, salt: int, stretch: float = 1.0) -> Tensor:
    """Falling things `(n, h, w)` in [0, 1]: one in each cell of a grid with a chance of `share`, `stretch` times as long as wide."""
    x, y = f.grid(*scene.x.shape[1:])
    across, down = (x + slant * y) * rows + rows + 8, (y / stretch + 2) * rows
    i, j = across.floor(), down.floor()
    cells = f.lattice(scene.streets.seeds, 4 * rows + 16, 3 * (2 * rows + 16), salt).unflatten(2, (2 * rows + 16, 3))
    item = torch.arange(len(cells))[:, None, None]
    here = cells[item, j.long().clamp(0, 4 * rows + 15), i.long().clamp(0, 2 * rows + 15)]
    dx, dy = across - i - 0.25 - 0.5 * here[..., 0], down - j - 0.25 - 0.5 * here[..., 1]
    return f.cover(torch.sqrt(dx**2 + dy**2) - radius, radius * 0.9) * (here[..., 2] < share)

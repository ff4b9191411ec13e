"""What surfaces look like close up, drawn from their place in the world: lane marks, paving, windows and doors, leaves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.worlds import fields as f
from core.worlds.street_scene import CLASSES, Scene


@dataclass
class Surfaces:
    """albedo `(n, 3, h, w)`; window `(n, h, w)`: share of glass in a front; chance `(n, h, w)` in [0, 1): one number for each window;
    mark `(n, h, w)`: paint on the road; leaf `(n, h, w)`: the grain of foliage around 0."""

    albedo: Tensor
    window: Tensor
    chance: Tensor
    mark: Tensor
    leaf: Tensor


def hashed(*numbers: Tensor) -> Tensor:
    """Numbers in [0, 1) from whole ones: exact integer arithmetic, so that a batch cannot change them."""
    value = torch.zeros_like(numbers[0], dtype=torch.int64)
    for k, number in enumerate(numbers):
        value = (value * 31 + number.long() * (73856093 + 19349664 * k)) & 0x7FFFFFFF
        value = ((value ^ (value >> 13)) * 1274126177) & 0x7FFFFFFF
    return ((value ^ (value >> 16)) & 0xFFFF).float() / 65536


def surfaces(scene: Scene) -> Surfaces:
    """Colours of all surfaces under even white light."""
    window, chance, front = _fronts(scene)
    ground, mark = _ground(scene)
    leaf = (f.noise(scene.streets.seeds, tuple(scene.x.shape[1:]), (40, 80), 71)) * scene.is_a("leaves")
    wall, floor = scene.is_a("wall")[:, None], scene.is_a("ground")[:, None]
    albedo = scene.colour * (1 + 0.22 * leaf)[:, None]
    albedo = albedo * (1 - wall) + front * wall
    return Surfaces((albedo * (1 - floor) + ground * floor).clamp(0, 1), window * wall[:, 0], chance, mark * floor[:, 0], leaf)


def _fronts(scene: Scene) -> tuple[Tensor, Tensor, Tensor]:
    """Windows in bays and floors, shops below, a cornice on top."""
    floor, bay, share, seed, shop = scene.wall.unbind(1)
    up, across = scene.y / floor.clamp_min(1), scene.along / bay.clamp_min(1)
    i, j = up.floor(), across.floor()
    u, v = (across - j - 0.5).abs(), up - i
    blur = (scene.z / 90).clamp(0.02, 0.4)
    upper = _edge(share * 0.5 + 0.02 - u, blur) * _edge(v - 0.22, blur) * _edge(0.84 - v, blur)
    lower = _edge(0.40 - u, blur) * _edge(v - 0.08, blur) * _edge(0.72 - v, blur)
    street = (i < 1).float()
    free = (scene.y < scene.top - 0.7).float()
    window = torch.where(i < 1, torch.where(shop < 0.55, lower, upper), upper) * free
    chance = hashed(i + 7, j + 99, seed)
    band = 0.10 * (street * (shop < 0.55) * (v > 0.76)) - 0.12 * (scene.y > scene.top - 0.4).float()
    wall = scene.colour * (1 - band - 0.10 * street)[:, None]
    glass = torch.tensor([0.20, 0.25, 0.30])[None, :, None, None] * (0.6 + 0.8 * chance)[:, None]
    return window, chance, wall * (1 - window[:, None]) + glass * window[:, None]


def _edge(inside: Tensor, blur: Tensor) -> Tensor:
    return (0.5 + inside / blur).clamp(0, 1)


def _ground(scene: Scene) -> tuple[Tensor, Tensor]:
    """Asphalt with marks, paving with joints, kerbs."""
    road = (scene.kind == CLASSES["road"]).float()
    half = torch.tensor(scene.road.half).float()[..., None]
    patch = hashed((scene.x / 3).floor() + 500, (scene.z / 5).floor(), scene.streets.seeds[:, None, None] % 9973 + 0 * scene.kind)
    grain = torch.sin(5.1 * scene.x + 2.3 * scene.z) * torch.sin(3.7 * scene.z - 1.9 * scene.x) * (12 / (scene.z + 6)).clamp_max(1)
    asphalt = scene.fact("asphalt", 0.27, 0.40) * (1 + 0.05 * (patch - 0.5) + 0.05 * grain)
    mark = _marks(scene, half) * road
    asphalt = asphalt + (0.88 - asphalt) * mark
    near = (10 / (scene.z + 4)).clamp_max(1)
    joints = ((torch.frac(scene.across.abs() / 0.9) < 0.08) | (torch.frac(scene.z / 1.2) < 0.08)).float() * near
    paving = scene.fact("paving", 0.50, 0.66) * (1 - 0.14 * joints + 0.04 * grain)
    kerb = ((scene.across.abs() - half).abs() < 0.14).float() * (1 - road)
    paving = paving * (1 + 0.22 * kerb)
    warm = torch.tensor([1.03, 0.99, 0.94])[None, :, None, None]
    cool = torch.tensor([0.98, 1.0, 1.03])[None, :, None, None]
    return asphalt[:, None] * cool * road[:, None] + paving[:, None] * warm * (1 - road[:, None]), mark


def _marks(scene: Scene, half: Tensor) -> Tensor:
    """A dashed or full line in the middle, lines at the parking lanes, and a zebra crossing."""
    blur = 0.02 + scene.z * 0.012
    width = 0.08
    dashes = _edge(1.6 - (torch.frac(scene.z / 6.5) * 6.5 - 3).abs(), blur * 2)
    dashed = torch.where(scene.fact("marks") < 0.7, dashes, torch.ones_like(blur))
    start = torch.tensor(scene.road.crossing).float()[..., None] - 7.6
    off = ((scene.z < start - 0.4) | (scene.z > start + 12.6)).float()
    line = _edge(width - scene.across.abs(), blur) * dashed * off
    parks = torch.where(scene.across < 0, *(torch.tensor(v).float()[..., None] for v in (scene.road.park_left, scene.road.park_right)))
    lane = _edge(width - (scene.across.abs() - half + 2.15).abs(), blur) * parks * off * 0.7
    stripes = _edge(0.28 - (torch.frac(scene.across / 1.1 + 40) * 1.1 - 0.55).abs(), blur)
    zebra = stripes * ((scene.z > start) & (scene.z < start + 2.8)).float() * (scene.fact("zebra") < 0.6)
    return torch.stack([line, lane, zebra]).amax(0)

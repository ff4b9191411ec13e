"""How each weather lights a street. Every renderer starts from the same scene and returns colours `(n, 3, h, w)` in about [0, 1]."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from core.worlds import fields as f
from core.worlds.street_light import (
    bloom,
    clouds,
    facing,
    flakes,
    grain,
    height_in_sky,
    lamp_light,
    mix,
    own_beam,
    rgb,
    veil,
)  # fmt: skip
from core.worlds.street_scene import CLASSES, Scene
from core.worlds.street_surfaces import surfaces


def day(scene: Scene) -> Tensor:
    """A clear day: sun and shadows, blue sky with clouds, glass that mirrors it."""
    look = surfaces(scene)
    high = height_in_sky(scene)
    sky = mix(rgb(0.74, 0.85, 0.95).expand_as(scene.colour), rgb(0.24, 0.48, 0.86), high**0.7)
    sky = mix(sky, rgb(0.98, 0.98, 0.98), clouds(scene, 3, 0.1, 0.75) * scene.fact("cloud", 0.1, 0.95))
    ground = scene.is_a("ground")
    sun = facing(scene, scene.sun) * (1 - 0.85 * scene.shadow.float() * ground)
    light = sun[:, None] * rgb(1.02, 0.95, 0.80) * 0.90 + rgb(0.47, 0.52, 0.60)
    low = 1 - 0.25 * torch.exp(-scene.y / 0.5) * (1 - ground)
    picture = look.albedo * light * low[:, None]
    mirror = torch.maximum(look.window * 0.55, scene.is_a("glass") * 0.45)
    picture = mix(
        picture,
        rgb(0.55, 0.70, 0.88) * (0.5 + 0.7 * look.chance[:, None]),
        mirror * f.smoothstep(0.3, 1.2, scene.y / scene.top.clamp_min(0.5)),
    )
    picture = picture + 0.25 * (scene.is_a("paint") * facing(scene, _halfway(scene)) ** 12)[:, None]
    lit = (scene.glow.amax(1) > 0) * (scene.kind == CLASSES["traffic light"])
    picture = mix(picture, scene.glow.clamp(0, 1), 0.9 * lit)
    picture = mix(picture, rgb(0.76, 0.84, 0.92), veil(scene, scene.fact("haze", 180, 420)))
    warm = scene.fact("warmth", -0.05, 0.05)[:, None]
    return mix(picture, sky, scene.is_a("sky")) * torch.cat([1 + warm, torch.ones_like(warm), 1 - warm], 1)


def _halfway(scene: Scene) -> Tensor:
    half = scene.sun + torch.tensor([0.0, 0.1, -1.0])
    return half / half.norm(dim=1, keepdim=True)


def night(scene: Scene) -> Tensor:
    """Night: sodium lamps and our own beam in the dark, lit windows, signals, headlights and tail lights with their halos."""
    look = surfaces(scene)
    lamp, beam = lamp_light(scene, 5.5), own_beam(scene)
    upward = 0.45 + 0.55 * facing(scene, torch.tensor([[0.0, 1.0, 0.0]]))
    toward = 0.35 + 0.65 * facing(scene, torch.tensor([[0.0, 0.1, -0.99]]))
    light = rgb(0.065, 0.080, 0.130) + (lamp * upward)[:, None] * rgb(1.0, 0.66, 0.30) * 1.25
    picture = look.albedo * (light + (beam * toward)[:, None] * rgb(0.95, 0.95, 0.85) * 0.80)
    awake = (look.chance < scene.fact("window_light", 0.10, 0.45)).float() * look.window
    rooms = f.palette([(1.0, 0.72, 0.36), (1.0, 0.85, 0.60), (0.75, 0.85, 1.0)], scene.streets.seeds % 97 / 96)[:, :, None, None]
    shine = rooms * (awake * (0.35 + 0.5 * look.chance))[:, None]
    high = height_in_sky(scene)
    sky = mix(rgb(0.150, 0.110, 0.105).expand_as(picture), rgb(0.020, 0.026, 0.062), high**0.6)
    sky = sky + 0.025 * clouds(scene, 5, -0.2, 0.8)[:, None] * rgb(1.0, 0.8, 0.6)
    picture = mix(picture * (1 - 0.75 * awake[:, None]), sky, scene.is_a("sky")) + shine
    lights = scene.glow * (1 + scene.z / 25)[:, None].clamp_max(3)
    picture = picture + scene.glow + bloom(lights + 0.12 * shine, (0.30, 0.30, 0.42, 0.42, 0.28)) + 0.5 * _streaks(scene, lights)
    return 0.012 + picture + 0.018 * grain(scene, 60, 31)[:, None]


def _streaks(scene: Scene, lights: Tensor) -> Tensor:
    """Lights mirrored on the ground below them, drawn out towards us."""
    size = lights.shape[-2:]
    small = F.interpolate(lights, size=(size[0] // 4, size[1] // 4), mode="area")
    tall = size[0] // 12
    drawn = F.avg_pool2d(F.pad(small, (0, 0, tall, 0)), (tall + 1, 1), stride=1)
    return F.interpolate(drawn, size=size, mode="bilinear", align_corners=False) * scene.is_a("ground")[:, None] * 1.6


def fog(scene: Scene) -> Tensor:
    """Fog: grey air that thickens with distance, no shadows, colours gone, lamps as pale halos."""
    look = surfaces(scene)
    dim = 0.62 + 0.14 * facing(scene, torch.tensor([[0.0, 0.95, -0.31]]))
    grey = (look.albedo * rgb(0.30, 0.59, 0.11)).sum(1, keepdim=True)
    picture = (grey + 0.55 * (look.albedo - grey)) * dim[:, None] * rgb(0.94, 0.98, 1.0)
    high = height_in_sky(scene)
    air = mix(rgb(0.66, 0.67, 0.68).expand_as(picture), rgb(0.76, 0.77, 0.79), high) * scene.fact("warmth", 0.84, 1.04)[:, None]
    drift = 1 + 0.25 * f.noise(scene.streets.seeds, tuple(scene.x.shape[1:]), (5, 7), 41)
    reach = scene.fact("haze", 9, 24)
    picture = mix(picture, air, veil(scene, reach * drift) * 0.985)
    lights = scene.glow * torch.exp(-scene.z / (reach * 1.7))[:, None]
    return picture + 0.55 * lights + bloom(lights, (0.15, 0.22, 0.30, 0.34)) + 0.008 * grain(scene, 60, 43)[:, None]


def snow(scene: Scene) -> Tensor:
    """Snow: white ground and ledges, tyre tracks, an even grey sky, flakes near and far."""
    look = surfaces(scene)
    drift = f.noise(scene.streets.seeds, tuple(scene.x.shape[1:]), (10, 18), 51)
    ground, road = scene.is_a("ground"), (scene.kind == CLASSES["road"]).float()
    lane = (scene.across.abs() - 0.36 * torch.tensor(scene.road.half).float()[..., None]).abs()
    tracks = f.smoothstep(0.45, 0.20, (lane - 0.75).abs() + 0.08 * drift) * road
    lies = ground * (1 - 0.62 * tracks) * (1 - 0.12 * road)
    above = f.smoothstep(0.15, 0.65, scene.normal[:, 1] + 0.35 * look.leaf) * (1 - ground) * (1 - scene.is_a("sky", "skin"))
    caps = f.smoothstep(0.16, 0.10, scene.top - scene.y) * scene.is_a("paint", "glass", "plain") * (scene.top > 1)
    ledge = f.smoothstep(0.75, 0.55, scene.top - scene.y) * scene.is_a("wall")
    cover = torch.stack([lies, 0.85 * above, caps, ledge]).amax(0).clamp(0, 1)
    white = rgb(0.93, 0.95, 0.99) * (1 + 0.05 * drift[:, None] - 0.06 * ground[:, None] * scene.shadow[:, None])
    light = 0.58 + 0.30 * facing(scene, torch.tensor([[0.0, 0.97, -0.24]]))
    picture = mix(look.albedo * rgb(0.88, 0.94, 1.0), white, cover) * light[:, None]
    air = rgb(0.80, 0.82, 0.86) * scene.fact("warmth", 0.90, 1.02)[:, None]
    sky = air * (1 - 0.10 * clouds(scene, 53, -0.2, 0.9))[:, None]
    picture = mix(mix(picture, air, veil(scene, scene.fact("haze", 45, 110))), sky, scene.is_a("sky"))
    lights = scene.glow * 0.5
    picture = picture + 0.6 * lights + bloom(lights, (0.2, 0.2, 0.15))
    slant = scene.fact("sun_side", -0.5, 0.5)
    for rows, radius, share, strength, salt in ((34, 0.24, 0.26, 0.55, 61), (18, 0.20, 0.26, 0.75, 62), (8, 0.14, 0.25, 0.85, 63)):
        picture = mix(picture, rgb(0.97, 0.98, 1.0), strength * flakes(scene, rows, radius, share, slant, salt))
    return picture


def rain(scene: Scene) -> Tensor:
    """Rain: heavy clouds, lamps on, a street that mirrors what stands above it, streaks in the air."""
    look = surfaces(scene)
    ground = scene.is_a("ground")
    light = 0.46 + 0.22 * facing(scene, torch.tensor([[0.0, 0.97, -0.24]]))
    wet = look.albedo * (1 - 0.45 * ground)[:, None]
    picture = wet * light[:, None] * rgb(0.88, 0.96, 1.08)
    high = height_in_sky(scene)
    sky = mix(rgb(0.60, 0.63, 0.68).expand_as(picture), rgb(0.34, 0.37, 0.43), high) * (1 - 0.30 * clouds(scene, 81, -0.3, 0.7))[:, None]
    awake = (look.chance < 0.22).float() * look.window
    picture = picture + 0.40 * awake[:, None] * rgb(1.0, 0.80, 0.50)
    picture = mix(mix(picture, rgb(0.52, 0.55, 0.60), veil(scene, scene.fact("haze", 60, 140))), sky, scene.is_a("sky"))
    lights = scene.glow * 0.8
    picture = picture + 0.8 * lights + bloom(lights, (0.3, 0.25, 0.2, 0.1))
    puddle = f.smoothstep(-0.4, 0.5, f.noise(scene.streets.seeds, tuple(scene.x.shape[1:]), (14, 10), 83))
    grazing = (scene.z / (scene.z + 7)) * ground
    picture = mix(picture, _mirrored(scene, picture), grazing * (0.30 + 0.45 * puddle)) + 0.6 * _streaks(scene, lights)
    slant = scene.fact("sun_side", -0.35, 0.35)
    for rows, radius, share, salt, long in ((44, 0.16, 0.5, 85, 9.0), (26, 0.12, 0.5, 86, 11.0)):
        picture = mix(picture, rgb(0.72, 0.77, 0.84), 0.30 * flakes(scene, rows, radius, share, slant, salt, long))
    return picture


def _mirrored(scene: Scene, picture: Tensor) -> Tensor:
    """The picture upside down about the horizon, rippled and drawn out downwards."""
    height, width = picture.shape[-2:]
    x, y = f.grid(height, width)
    horizon = torch.tensor(scene.road.horizon).float()[..., None]
    ripple = 0.012 * f.noise(scene.streets.seeds, (height, width), (40, 12), 84)
    flipped = torch.zeros_like(picture)
    for longer in (0.75, 1.0, 1.3):
        where = torch.stack([(x + ripple).expand_as(ripple), (horizon - (y - horizon) * longer + ripple) * (width / height)], -1)
        flipped = flipped + F.grid_sample(picture, where, mode="bilinear", padding_mode="border", align_corners=False) / 3
    return flipped


STYLES: dict[str, Callable[[Scene], Tensor]] = {"day": day, "night": night, "fog": fog, "snow": snow, "rain": rain}

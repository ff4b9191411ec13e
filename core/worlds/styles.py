"""How each domain draws a figure. Every renderer takes the same layers and returns colours `(n, 3, H, W)` in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from core.worlds import fields as f
from core.worlds.figure import Figure, Layer, between, col


def compose(background: Tensor, layers: list[Layer], colour: Callable[[Layer], Tensor]) -> Tensor:
    """Layers over a background `(n, 3, H, W)`; `colour(layer)` gives each one's `(n, 3, H, W)`."""
    picture = background
    for layer in layers:
        alpha = layer.alpha[:, None]
        picture = picture + (colour(layer) - picture) * alpha
    return picture


def lit(layer: Layer) -> Tensor:
    """Albedo times shading `(n, 3, H, W)`."""
    return layer.albedo[:, :, None, None] * layer.shade[:, None]


def outlines(fig: Figure, width: Tensor | float) -> Tensor:
    """Contours and inked lines `(n, H, W)` in [0, 1], each hidden by what lies in front of it; `width` in half image widths."""
    lines = torch.zeros_like(fig.x)
    for layer in fig.layers:
        lines = lines * (1 - layer.alpha * (layer.softness < 0.04))
        if layer.contour > 0:
            lines = torch.maximum(lines, f.cover(layer.distance.abs() - width * layer.contour, 0.018) * min(1.0, 0.35 + layer.contour))
        if layer.ink > 0:
            lines = torch.maximum(lines, layer.alpha * layer.ink)
    return lines


def gradient(fig: Figure, hue: Tensor, saturation: Tensor, value: Tensor, span: float) -> Tensor:
    """A plain backdrop, lighter on one side `(n, 3, H, W)`."""
    x, y = f.grid(fig.size)
    angle = between(fig.people.back_tilt, 0.0, 6.28)
    slope = 1 + span * (torch.cos(angle) * x + torch.sin(angle) * y)
    return f.hsv(hue, saturation, value)[:, :, None, None] * slope[:, None]


def photo(fig: Figure) -> Tensor:
    """A studio photograph: soft backdrop, shaded forms, warm or cool light."""
    p = fig.people
    back = gradient(fig, p.back_hue, 0.08 + 0.42 * p.back_colour, 0.45 + 0.45 * p.back_value, 0.16)
    picture = compose(back, fig.layers, lit)
    warm = (p.warmth - 0.5)[:, None, None, None]
    tint = torch.cat([1 + 0.10 * warm, torch.ones_like(warm), 1 - 0.12 * warm], dim=1)
    return picture * tint


def tones(fig: Figure, background: float) -> Tensor:
    """Lightness `(n, H, W)` of the shaded figure on an even ground: what a draughtsman looks at."""
    grey = compose(torch.full_like(fig.x, background)[:, None].expand(-1, 3, -1, -1), fig.layers, lit)
    return (grey * torch.tensor([0.30, 0.59, 0.11])[None, :, None, None]).sum(1)


def strokes(fig: Figure, angle: Tensor, spacing: float, salt: int) -> Tensor:
    """Parallel pencil strokes `(n, H, W)`, 0 between and 1 on a stroke, a little irregular."""
    x, y = f.grid(fig.size)
    across = f.rotate(x, y, angle)[1]
    wobble = 0.35 * f.noise(fig.people.seeds, fig.size, (6, 6), salt)
    wave = torch.sin(6.2832 * (across / spacing + wobble))
    return f.smoothstep(-0.25, 0.75, wave) * (0.82 + 0.18 * f.noise(fig.people.seeds, fig.size, (20, 20), salt + 1))


def sketch(fig: Figure) -> Tensor:
    """Graphite on paper: wavering contours, hatching where it is dark, bare paper around."""
    p = fig.people
    tone = tones(fig, 0.97).clamp(0, 1)
    angle = between(p.style_a, 0.55, 1.0) * torch.where(col(p.style_b) < 0.5, 1.0, -1.0)
    first, second = strokes(fig, angle, 0.075, 11), strokes(fig, angle + 1.3, 0.085, 21)
    shade = 0.52 * f.smoothstep(0.0, 0.62, 0.70 - tone) * first + 0.45 * f.smoothstep(0.0, 0.5, 0.42 - tone) * second
    shade = shade + 0.30 * f.smoothstep(0.0, 0.45, 0.34 - tone)
    lines = outlines(fig, between(p.style_c, 0.010, 0.016))
    pressure = 0.85 + 0.2 * f.noise(p.seeds, fig.size, (7, 7), 31)
    graphite = 1 - (1 - shade.clamp(0, 1)) * (1 - 0.86 * (lines * pressure).clamp(0, 1))
    grain = 0.012 * f.noise(p.seeds, fig.size, (48, 48), 41)
    paper = torch.tensor([0.965, 0.955, 0.93])[None, :, None, None] + grain[:, None]
    lead = torch.tensor([0.17, 0.17, 0.19])[None, :, None, None]
    drawn = paper + (lead - paper) * graphite[:, None]
    wx, wy = (0.010 * f.noise(p.seeds, fig.size, (9, 9), salt) for salt in (51, 52))
    return f.warp(drawn, wx, wy)


def painting(fig: Figure) -> Tensor:
    """Oil on canvas: an earthen palette, dark ground with a glow, broad strokes that drag the colours along."""
    p = fig.people
    x, y = f.grid(fig.size)
    glow = torch.exp(-((x - 0.3 * col(fig.light[:, 0])) ** 2 + (y + 0.1) ** 2) / 0.9)
    ground = f.palette([(0.20, 0.13, 0.08), (0.16, 0.17, 0.12), (0.25, 0.10, 0.08), (0.12, 0.15, 0.20)], p.back_hue)
    back = ground[:, :, None, None] * (0.65 + 1.25 * glow)[:, None]
    picture = compose(back, fig.layers, lambda layer: lit(layer) ** 1.25 * 1.06)
    grey = picture.mean(1, keepdim=True)
    earth = torch.tensor([1.10, 0.92, 0.66])[None, :, None, None]
    picture = 0.62 * picture * earth + 0.38 * grey * earth * 1.02
    turn = 3.0 * f.noise(p.seeds, fig.size, (4, 4), 61)
    bristle = f.noise(p.seeds, fig.size, (22, 22), 62)
    drag = 0.035 * f.noise(p.seeds, fig.size, (16, 16), 63)
    dragged = f.warp(picture, drag * torch.cos(turn), drag * torch.sin(turn))
    along = f.rotate(x.expand_as(turn), y.expand_as(turn), turn)[1]
    ridges = torch.sin(70 * along + 5 * bristle)
    relief = 1 + 0.085 * ridges + 0.07 * bristle
    steps = 9.0  # few, thick mixtures of paint in place of smooth gradients
    levels = torch.round(dragged.clamp(0, 1) * steps + 0.35 * bristle[:, None]) / steps
    return (0.45 * levels + 0.55 * dragged) * relief[:, None]


def night(fig: Figure) -> Tensor:
    """A street at night: blue darkness, lamps out of focus, a warm rim of light on one side."""
    p = fig.people
    y = f.grid(fig.size)[1]
    sky = torch.tensor([0.035, 0.05, 0.12])[None, :, None, None] * (1.2 - 0.5 * y)[:, None]
    back = sky.expand(len(p), -1, -1, -1) + bokeh(fig)
    side = torch.where(p.light_side < 0.5, -1.0, 1.0)[:, None, None]
    rim = f.smoothstep(0.25, 0.95, side * fig.x / 0.42)
    amber, blue = torch.tensor([1.0, 0.66, 0.30])[None, :, None, None], torch.tensor([0.26, 0.34, 0.62])[None, :, None, None]

    def colour(layer: Layer) -> Tensor:
        return lit(layer) * blue * 1.15 + layer.albedo[:, :, None, None] * amber * (0.95 * rim * layer.shade)[:, None]

    return compose(back, fig.layers, colour)


def bokeh(fig: Figure) -> Tensor:
    """Six round lights out of focus `(n, 3, H, W)`, to be added."""
    x, y = f.grid(fig.size)
    places = f.lattice(fig.people.seeds, 6, 4, 71)
    light = torch.zeros(len(fig.people), 3, fig.size, fig.size)
    for k in range(6):
        cx, cy, radius = (col(places[:, k, i]) for i in range(3))
        disc = f.cover(f.ellipse(x - (cx * 2 - 1), y - (cy * 1.3 - 1), 0.07 + 0.11 * radius, 0.07 + 0.11 * radius), 0.05)
        colour = f.palette([(1.0, 0.75, 0.35), (1.0, 0.45, 0.25), (0.45, 0.75, 1.0), (0.9, 0.9, 0.8)], places[:, k, 3])
        light = light + 0.55 * colour[:, :, None, None] * disc[:, None]
    return light.clamp(0, 0.8)


def cartoon(fig: Figure) -> Tensor:
    """A flat drawing: bright even colours, two tones of shade, thick black outlines, a sunny ground with rays or dots."""
    p = fig.people
    x, y = f.grid(fig.size)
    base = f.hsv(p.back_hue, 0.35 + 0.3 * p.back_colour, 0.95 + 0 * p.back_hue)[:, :, None, None]
    dots = f.cover((torch.sin(16 * x) * torch.sin(16 * y)).expand_as(fig.x) * -1 + 0.72, 0.35)
    rays = f.cover(-torch.sin(14 * torch.atan2(x, -y - 0.1)).expand_as(fig.x), 0.3)
    pattern = torch.where(col(p.style_a) < 0.5, dots, rays)
    back = base * (1 - 0.13 * pattern)[:, None]

    def colour(layer: Layer) -> Tensor:
        grey = layer.albedo.mean(1, keepdim=True)
        vivid = (grey + 1.45 * (layer.albedo - grey)).clamp(0, 1) * 0.85 + 0.15
        return vivid[:, :, None, None] * (0.80 + 0.20 * f.smoothstep(0.80, 0.86, layer.shade))[:, None]

    flat = [layer for layer in fig.layers if layer.softness < 0.04 or layer.name in ("cheeks",)]
    picture = compose(back, flat, colour)
    lines = outlines(fig, between(p.style_c, 0.018, 0.024))
    return picture * (1 - 0.92 * lines)[:, None]


STYLES: dict[str, Callable[[Figure], Tensor]] = {
    "photo": photo, "sketch": sketch, "painting": painting, "night": night, "cartoon": cartoon,
}  # fmt: skip

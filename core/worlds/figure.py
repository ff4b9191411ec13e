"""The anatomy of a portrait: parameters → an ordered list of layers, back to front, that every domain draws in its own way.

A layer is a signed distance with a colour and a shading; nothing here knows paper, paint or night. That all domains start from the same
layers and none from another domain's picture is what makes their truth independent of any model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.worlds import fields as f
from core.worlds.people import Portraits

SKIN = [(0.99, 0.86, 0.76), (0.95, 0.76, 0.63), (0.84, 0.62, 0.47), (0.64, 0.43, 0.30), (0.42, 0.27, 0.19)]
HAIR = [(0.07, 0.06, 0.07), (0.22, 0.13, 0.08), (0.42, 0.25, 0.13), (0.62, 0.28, 0.12), (0.80, 0.60, 0.30), (0.93, 0.82, 0.56)]
IRIS = [(0.25, 0.14, 0.08), (0.40, 0.26, 0.12), (0.30, 0.42, 0.22), (0.32, 0.52, 0.66), (0.45, 0.55, 0.62)]
GREY_HAIR = (0.78, 0.78, 0.80)


@dataclass
class Layer:
    """One thing in the picture. distance `(n, H, W)`; albedo `(n, 3)` in [0, 1]; shade `(n, H, W)` around 1.

    softness: width of its edge; opacity `(n, 1, 1)` or a number; contour: how strongly a draughtsman would outline it, and ink: how
    strongly he would fill it (a line of the face is filled, not outlined), both 0 … 1.
    """

    name: str
    distance: Tensor
    albedo: Tensor
    shade: Tensor
    softness: float = 0.016
    opacity: float | Tensor = 1.0
    contour: float = 1.0
    ink: float = 0.0

    @property
    def alpha(self) -> Tensor:
        """Coverage `(n, H, W)` in [0, 1]."""
        return f.cover(self.distance, self.softness) * self.opacity


@dataclass
class Figure:
    """Layers back to front, the head's own coordinates, and the light that falls on it."""

    people: Portraits
    layers: list[Layer]
    x: Tensor  # head coordinates (n, H, W)
    y: Tensor
    light: Tensor  # (n, 3) direction to the light
    size: int


def col(value: Tensor) -> Tensor:
    """A column `(n, 1, 1)` of a parameter `(n,)`."""
    return value[:, None, None]


def between(value: Tensor, low: float, high: float) -> Tensor:
    """A parameter in [0, 1] stretched to [low, high], as a column."""
    return col(low + (high - low) * value)


def only(distance: Tensor, present: Tensor) -> Tensor:
    """The shape where the attribute is present, nothing elsewhere."""
    return torch.where(col(present), distance, torch.full_like(distance, 9.0))


class Head:
    """Coordinates and measures that the parts of one batch of heads share."""

    def __init__(self, p: Portraits, size: int):
        self.p, self.size = p, size
        gx, gy = f.grid(size)
        scale = between(p.scale, 1.22, 1.40)
        self.ux, self.uy = (gx - between(p.shift_x, -0.07, 0.07)) / scale, (gy - between(p.shift_y, -0.04, 0.05)) / scale
        self.x, self.y = f.rotate(self.ux, self.uy + 0.06, between(p.roll, -0.10, 0.10))
        self.yaw = between(p.yaw, -1.0, 1.0)
        self.fx = self.x - 0.05 * self.yaw  # coordinates of the features, which turn with the head
        self.rx, self.ry = between(p.face_width, 0.345, 0.445), between(p.face_height, 0.45, 0.55)
        self.light = self._light()
        self.hair = self._hair_colour()
        pink = p.undertone - 0.5
        self.skin = f.palette(SKIN, p.skin) * torch.stack([1 + 0.04 * pink, torch.ones(len(p)), 1 - 0.10 * pink], 1)
        self.form = self._form()
        self.flat = torch.ones_like(self.form)
        self.eye_y = -0.06

    def _light(self) -> Tensor:
        side = torch.where(self.p.light_side < 0.5, -0.85 + 0.9 * self.p.light_side, 0.85 - 0.9 * (1 - self.p.light_side))
        direction = torch.stack([side, -0.25 - 0.45 * self.p.light_height, torch.full_like(side, 0.75)], dim=1)
        return direction / direction.norm(dim=1, keepdim=True)

    def _hair_colour(self) -> Tensor:
        natural = f.palette(HAIR, self.p.hair_colour) * (0.85 + 0.3 * self.p.hair_shade)[:, None]
        grey = 0.18 * natural + 0.82 * torch.tensor(GREY_HAIR)
        return torch.where(self.p.old[:, None], grey, natural).clamp(0, 1)

    def _form(self) -> Tensor:
        """Lambert shading of an egg the size of the head, around 1."""
        nx, ny = (self.x / (self.rx * 1.12)).clamp(-1, 1), ((self.y + 0.02) / (self.ry * 1.2)).clamp(-1, 1)
        nz = torch.sqrt((1 - nx**2 - ny**2).clamp_min(0.04))
        lx, ly, lz = (col(self.light[:, i]) for i in range(3))
        return 0.66 + between(self.p.contrast, 0.34, 0.52) * (nx * lx + ny * ly + nz * lz)

    def tinted(self, *rgb: float) -> Tensor:
        """The skin's colour times an (r, g, b) tint, `(n, 3)`."""
        return (self.skin * torch.tensor(rgb)).clamp(0, 1)

    def paint(self, *rgb: float) -> Tensor:
        """One colour for everybody, `(n, 3)`."""
        return torch.tensor(rgb).expand(len(self.p), 3)


def face_distance(h: Head, grow: float = 0.0) -> Tensor:
    """The outline of the face: an ellipse that narrows towards the chin."""
    down = f.smoothstep(0.0, 1.0, h.y / h.ry)
    narrow = 1 - between(h.p.jaw, 0.10, 0.34) * down
    chin = between(h.p.chin, -0.02, 0.05) * f.smoothstep(0.5, 1.0, h.y / h.ry)
    return f.ellipse(h.x / narrow, h.y - chin, h.rx + grow, h.ry + grow)


def hair_streaks(h: Head) -> Tensor:
    """Shading of hair: strands that run down, wavier with `curl`, and a soft highlight ring."""
    wave = between(h.p.curl, 0.0, 0.10) * torch.sin(9 * h.y + 6.28 * col(h.p.parting))
    strands = torch.sin(34 * (h.x * (1.1 - 0.35 * h.y) + wave) + 12 * col(h.p.hair_shade))
    ring = torch.exp(-(((h.y + 0.52 - 0.25 * h.x * col(h.light[:, 0])) / 0.09) ** 2))
    return h.form * (0.92 + 0.10 * strands) + 0.22 * ring


def hair_outline(h: Head) -> Tensor:
    """The outer edge of the hair on the skull."""
    volume = between(h.p.hair_volume, 0.03, 0.11)
    angle = torch.atan2(h.x, -h.y)
    ripple = between(h.p.curl, 0.0, 0.014) * torch.sin(11 * angle)
    return f.ellipse(h.x, h.y + 0.05, h.rx + volume, h.ry + volume * 0.9) + ripple


def back_hair(h: Head) -> list[Layer]:
    """Hair behind the head: short to the nape, long down to the shoulders."""
    short = torch.maximum(hair_outline(h), h.y - 0.16)
    sway = between(h.p.curl, 0.0, 0.025) * torch.sin(10 * h.y)
    fall = f.box(h.x + sway, h.y - 0.22, h.rx + between(h.p.hair_volume, 0.08, 0.16), 0.50, 0.24)
    long = f.smooth_union(hair_outline(h), fall, 0.08)
    distance = torch.where(col(h.p.long_hair), long, short)
    return [Layer("back_hair", distance, h.hair, hair_streaks(h) * 0.72)]


def body(h: Head) -> list[Layer]:
    """Neck and clothes, with a collar or an open neck."""
    p = h.p
    neck = f.box(h.ux - 0.02 * h.yaw, h.uy - 0.48, h.rx * 0.52, 0.34, 0.05)
    shadow = f.ellipse(h.ux, h.uy - 0.44, h.rx * 0.75, 0.16)
    shoulders = f.ellipse(h.ux, h.uy - 1.28, 0.98, 0.70)
    opening = torch.where(
        col(p.neckline < 0.5), f.ellipse(h.ux, h.uy - 0.50, h.rx * 0.66, 0.20), (h.ux.abs() * 1.7 + h.uy - 0.90) * 0.6
    )
    cloth = f.hsv(p.cloth_hue, 0.25 + 0.5 * p.cloth_colour, 0.25 + 0.6 * p.cloth_value)
    folds = 0.95 + 0.10 * torch.sin(7 * h.ux + 2.5 * h.uy + 6 * col(p.cloth_hue)) + 0.18 * h.ux * col(h.light[:, 0])
    return [
        Layer("neck", neck, h.skin, h.form * 0.86),
        Layer("chest", torch.maximum(shoulders, opening - 0.03), h.skin, h.flat * 0.92, contour=0.4),
        Layer("neck_shadow", torch.maximum(shadow, neck), h.tinted(0.62, 0.54, 0.52), h.form, 0.10, 0.75, 0.0),
        Layer("clothes", torch.maximum(shoulders, -opening), cloth, folds),
    ]


def long_locks(h: Head) -> list[Layer]:
    """Long hair that falls over the shoulders on both sides, in front of the clothes."""
    sway = between(h.p.curl, 0.0, 0.025) * torch.sin(10 * h.y)
    side = (h.x + sway).abs() - (h.rx + between(h.p.hair_volume, 0.015, 0.06))
    lock = f.box(side, h.y - 0.28, 0.075, 0.44, 0.07)
    return [Layer("locks", only(lock, h.p.long_hair), h.hair, hair_streaks(h) * 0.9, contour=0.7)]


def face(h: Head) -> list[Layer]:
    """Ears, the face itself, warm cheeks, freckles, and what age adds."""
    p = h.p
    size = between(p.ears, 0.07, 0.115)
    ears = f.ellipse(h.x.abs() - h.rx * 0.985, h.y - 0.0, size * 0.62, size)
    ears = torch.where(col(p.long_hair), torch.full_like(ears, 9.0), ears)
    cheeks = f.ellipse(h.fx.abs() - 0.20, h.y - 0.15, 0.10, 0.075)
    dots = f.noise(p.seeds * 0 + (p.freckles * 9999).long(), h.size, (56, 56), 7)
    spots = torch.maximum(f.ellipse(h.fx.abs() - 0.15, h.y - 0.10, 0.15, 0.08), 0.5 - dots)
    spots = torch.maximum(spots, 12 * face_distance(h) + 0.2)  # on the skin only
    return [
        Layer("ears", ears, h.tinted(0.95, 0.88, 0.86), h.form),
        Layer("face", face_distance(h), h.skin, h.form),
        Layer("cheeks", cheeks, h.tinted(1.02, 0.74, 0.70), h.form, 0.16, 0.5, 0.0),
        Layer("freckles", only(spots, p.freckles > 0.72), h.tinted(0.74, 0.57, 0.47), h.form, 0.35, 0.7, 0.0),
        *age(h),
    ]


def age(h: Head) -> list[Layer]:
    """Lines on the forehead, beside the nose and under the eyes."""
    ink = h.tinted(0.60, 0.48, 0.44)
    lines = [
        f.arc(h.fx, h.y + 0.235, 0.16 + 0 * h.rx, -0.025 + 0 * h.rx, 0.007),
        f.arc(h.fx, h.y + 0.285, 0.13 + 0 * h.rx, -0.025 + 0 * h.rx, 0.006),
    ]
    ax = h.fx.abs()
    zero = 0 * h.rx
    lines.append(f.capsule(ax, h.y, 0.095 + zero, 0.13 + zero, 0.165 + zero, 0.27 + zero, 0.009))
    lines.append(f.arc(ax - col(0.145 + 0.05 * h.p.eye_distance), h.y - 0.035, 0.06 + zero, 0.028 + zero, 0.007))
    distance = torch.stack([only(d, h.p.old) for d in lines]).amin(0)
    return [Layer("age", distance, ink, h.form, 0.022, 0.85, 0.0, 0.5)]


def eyes(h: Head) -> list[Layer]:
    """White, iris, pupil, glint, upper lid and brow of both eyes (mirrored but for gaze and glint)."""
    p = h.p
    apart = between(p.eye_distance, 0.135, 0.195)
    rx = between(p.eye_size, 0.062, 0.090)
    ry = rx * between(p.eye_roundness, 0.46, 0.72) * torch.where(col(p.smiling), 0.80, 1.0)
    sign = torch.sign(h.fx)
    ex, ey = h.fx.abs() - apart, h.y - h.eye_y
    white = f.ellipse(ex, ey, rx, ry)
    looking = ex - sign * between(p.gaze, -0.022, 0.022)
    iris, pupil = f.ellipse(looking, ey, ry * 0.92, ry * 0.92), f.ellipse(looking, ey, ry * 0.48, ry * 0.48)
    glint = f.ellipse(looking + 0.014 * sign, ey + ry * 0.38, ry * 0.26, ry * 0.26)
    lid = f.arc(ex, ey + 0.006, rx * 1.10, -ry * 1.12, 0.011)
    crease = f.arc(ex, ey + 0.030, rx * 1.05, -ry * 1.1, 0.006)
    black = h.paint(0.06, 0.05, 0.06)
    return [
        Layer("eye_shadow", f.ellipse(ex, ey, rx * 1.45, ry * 1.9), h.tinted(0.80, 0.66, 0.64), h.form, 0.10, 0.45, 0.0),
        Layer("eye_white", white, h.paint(0.97, 0.96, 0.95), h.form * 0.5 + 0.5, contour=0.45),
        Layer("iris", torch.maximum(iris, white), f.palette(IRIS, p.eye_colour), h.flat, contour=0.3),
        Layer("pupil", torch.maximum(pupil, white), black, h.flat, contour=0.0, ink=1.0),
        Layer("glint", torch.maximum(glint, white), h.paint(1.0, 1.0, 1.0), h.flat, contour=0.0),
        Layer("crease", crease, h.tinted(0.66, 0.52, 0.48), h.form, 0.02, 0.6, 0.0, 0.3),
        Layer("lid", lid, black * 0.5 + 0.5 * h.hair * 0.4, h.flat, contour=0.0, ink=0.9),
        *brows(h, apart),
    ]


def brows(h: Head, apart: Tensor) -> list[Layer]:
    """Two brows, tilted and arched."""
    p = h.p
    bx, by = f.rotate(h.fx.abs() - apart - 0.005, h.y - h.eye_y + between(p.brow_height, 0.095, 0.140), between(p.brow_tilt, -0.26, 0.22))
    distance = f.arc(bx, by, 0.088 + 0 * h.rx, -0.022 + 0 * h.rx, between(p.brow_weight, 0.009, 0.026))
    return [Layer("brows", distance, h.hair * 0.62, h.form, 0.02, contour=0.0, ink=0.75)]


def nose(h: Head) -> list[Layer]:
    """A ridge in light and shade, wings and nostrils."""
    p = h.p
    tip, half = between(p.nose_length, 0.085, 0.165), between(p.nose_width, 0.050, 0.088)
    nx, ny = h.fx - 0.03 * h.yaw, h.y - tip
    zero = 0 * h.rx
    away = torch.sign(col(h.light[:, 0]))
    ridge = f.capsule(nx + away * 0.018, ny, zero, -0.17 + zero, zero, -0.02 + zero, half * 0.42)
    light = f.capsule(nx - away * 0.006, ny, zero, -0.15 + zero, zero, -0.01 + zero, 0.010)
    wings = f.arc(nx, ny - 0.004, half * 1.12, half * 0.42, 0.011)
    nostrils = f.ellipse(nx.abs() - half * 0.52, ny - 0.022, half * 0.26, 0.011)
    return [
        Layer("nose_shade", ridge, h.tinted(0.80, 0.68, 0.64), h.form, 0.07, 0.65, 0.0),
        Layer("nose_light", light, h.tinted(1.15, 1.12, 1.1), h.form, 0.05, 0.7, 0.0),
        Layer("nose", wings, h.tinted(0.62, 0.46, 0.42), h.form, 0.03, 0.9, 0.0, 0.55),
        Layer("nostrils", nostrils, h.tinted(0.40, 0.26, 0.24), h.flat, 0.02, 0.85, 0.0, 0.7),
    ]


def lens(x: Tensor, y: Tensor, half: Tensor, top: Tensor, bottom: Tensor) -> Tensor:
    """The region between two parabolas that meet at (±half, 0)."""
    bow = 1 - (x / half) ** 2
    return torch.maximum(torch.maximum(top * bow - y, y - bottom * bow), x.abs() - half) * 0.9


def mouth(h: Head) -> list[Layer]:
    """Closed lips, or a smile that shows teeth."""
    p = h.p
    low, half = between(p.mouth_height, 0.235, 0.295), between(p.mouth_width, 0.095, 0.140)
    lips = between(p.lips, 0.020, 0.048)
    mx, my = h.fx - 0.012 * h.yaw, h.y - low
    wide = half * between(p.smile_width, 1.25, 1.5)
    serious = lens(mx, my, half, -lips * 0.8, lips)
    smiling = lens(mx, my + 0.035, wide, 0.028 - lips * 0.55, 0.100 + lips * 0.55)
    teeth = lens(mx, my + 0.033, wide * 0.88, 0.030 + 0 * half, 0.088 + 0 * half)
    line = f.arc(mx, my, half * 0.98, -0.006 + 0 * half, 0.007)
    dimples = f.capsule(mx.abs() - wide, my, 0.006 + 0 * half, -0.075 + 0 * half, 0.014 + 0 * half, -0.015 + 0 * half, 0.008)
    red = h.skin * torch.tensor([0.86, 0.55, 0.54])
    dark = h.tinted(0.48, 0.26, 0.26)
    return [
        Layer("under_lip", f.ellipse(mx, my - lips - 0.035, half * 0.6, 0.022), h.tinted(0.76, 0.64, 0.60), h.form, 0.06, 0.5, 0.0),
        Layer("lips", torch.where(col(p.smiling), smiling, serious), red, h.form, contour=0.4),
        Layer("teeth", only(teeth, p.smiling), h.paint(0.98, 0.97, 0.94), h.flat, contour=0.45),
        Layer("lip_line", only(line, ~p.smiling), dark, h.flat, contour=0.0, ink=0.9),
        Layer("dimples", only(dimples, p.smiling), h.tinted(0.66, 0.50, 0.46), h.form, 0.03, 0.8, 0.0, 0.4),
    ]


def beard(h: Head) -> list[Layer]:
    """A full beard along the jaw with a moustache, leaving the mouth free."""
    p = h.p
    low = between(p.mouth_height, 0.235, 0.295)
    longer = between(p.beard_shape, 0.0, 0.08)
    rough = 0.012 * f.noise(p.seeds, h.size, (24, 24), 3)
    jaw = face_distance(h, 0.012) - longer * f.smoothstep(0.15, 0.45, h.y)
    top = 0.20 - 0.30 * (h.x.abs() / h.rx).clamp(0, 1) ** 3
    hole = f.ellipse(h.fx, h.y - low + 0.02, 0.175 + 0 * low, 0.105 + 0 * low)
    whiskers = torch.maximum(torch.maximum(jaw, top - h.y), -hole) + rough
    moustache = f.arc(h.fx, h.y - low + 0.030, 0.150 + 0 * low, -0.038 + 0 * low, 0.020) + rough
    distance = only(torch.minimum(whiskers, moustache), p.beard)
    strands = 0.88 + 0.14 * torch.sin(52 * h.x + 5 * torch.sin(9 * h.y))
    return [Layer("beard", distance, h.hair * 0.88, h.form * strands, 0.03, 0.94, 0.6)]


def front_hair(h: Head) -> list[Layer]:
    """Hair over the forehead: fringe, parting or swept back, by the identity's `fringe`; age makes it recede."""
    p = h.p
    side = torch.where(p.parting < 0.5, -1.0, 1.0)[:, None, None]
    reach = (h.x / h.rx).clamp(-1.2, 1.2)
    straight = -0.205 - 0.035 * torch.sin(20 * h.x + 3 * col(p.curl)) * between(p.curl, 0.3, 1.0) + 0.10 * reach**2
    parted = -0.30 + 0.15 * side * reach + 0.22 * reach**2
    swept = -0.37 + 0.26 * reach**2
    first, last = col(p.fringe < 0.34), col(p.fringe > 0.67)
    line = torch.where(first, straight, torch.where(last, swept, parted)) - torch.where(col(p.old), 0.045, 0.0)
    temples = line + 0.22 * f.smoothstep(0.82, 1.08, reach.abs())
    distance = torch.maximum(hair_outline(h), h.y - temples)
    return [Layer("front_hair", distance, h.hair, hair_streaks(h))]


def hat(h: Head) -> list[Layer]:
    """A knitted cap with a band, or a hat with a brim."""
    p = h.p
    colour = f.hsv(p.hat_hue, 0.45 + 0 * p.hat_hue, 0.35 + 0.55 * p.hat_value)
    wide = h.rx + between(p.hair_volume, 0.05, 0.11)
    dome = torch.maximum(f.ellipse(h.x, h.y + 0.26, wide, 0.43 + 0 * wide), h.y + 0.25)
    band = f.box(h.x, h.y + 0.27, wide + 0.01, 0.062, 0.04)
    brim = f.ellipse(h.x, h.y + 0.27 - 0.05 * (h.x / wide) ** 2, wide * 1.48, 0.065 + 0 * wide)
    brimmed = p.hat_shape > 0.5
    shadow = only(f.box(h.x, h.y + 0.185, h.rx * 0.9, 0.035, 0.03), p.hat)
    knit = torch.where(col(brimmed), h.flat, 0.94 + 0.08 * torch.sin(58 * h.x))
    return [
        Layer("hat", only(dome, p.hat), colour, h.form * knit),
        Layer("hat_band", only(torch.where(col(brimmed), band + 0.02, band), p.hat), colour * 0.72, h.form),
        Layer("brim", only(only(brim, brimmed), p.hat), colour * 0.9, h.form),
        Layer("hat_shadow", shadow, h.tinted(0.55, 0.45, 0.42), h.form, 0.07, 0.55, 0.0),
    ]


def glasses(h: Head) -> list[Layer]:
    """Frames from round to square, a bridge, arms, and a faint glare."""
    p = h.p
    apart = between(p.eye_distance, 0.135, 0.195)
    half_w, half_h = 0.118 + 0 * apart, between(p.frame_shape, 0.108, 0.080)
    ex, ey = h.fx.abs() - apart - 0.006, h.y - h.eye_y - 0.008
    lens_shape = f.box(ex, ey, half_w, half_h, between(p.frame_shape, 0.105, 0.03))
    rim = lens_shape.abs() - between(p.frame_colour, 0.013, 0.018)
    zero = 0 * apart
    bridge = f.arc(h.fx, ey + 0.015, (apart - 0.105).clamp_min(0.03), -0.02 + zero, 0.011)
    arm = f.capsule(h.x.abs(), ey, apart + 0.118, -0.02 + zero, h.rx * 1.0, -0.03 + zero, 0.011)
    frame = only(torch.minimum(torch.minimum(rim, bridge), arm), p.glasses)
    tones = [(0.06, 0.06, 0.08), (0.30, 0.14, 0.08), (0.55, 0.10, 0.12), (0.15, 0.20, 0.40)]
    glare = torch.maximum(lens_shape, (ex + ey * 0.8 + 0.05).abs() - 0.025)
    return [
        Layer("lenses", only(lens_shape, p.glasses), h.paint(0.88, 0.93, 1.0), h.flat, opacity=0.14, contour=0.0),
        Layer("glare", only(glare, p.glasses), h.paint(1.0, 1.0, 1.0), h.flat, 0.03, 0.30, 0.0),
        Layer("frame", frame, f.palette(tones, p.frame_colour), h.flat, contour=0.0, ink=0.95),
    ]


PARTS = (back_hair, body, long_locks, face, eyes, nose, mouth, beard, front_hair, hat, glasses)


def figure(people: Portraits, size: int) -> Figure:
    """All layers of a batch of portraits on a grid of `size` pixels, back to front."""
    h = Head(people, size)
    return Figure(people, [layer for part in PARTS for layer in part(h)], h.x, h.y, h.light, size)

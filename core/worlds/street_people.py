"""People on foot and on bicycles: cut-outs that face the camera, in metres, posed by their numbers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from core.worlds.street_mesh import Mesh, disc, limb, mesh, polygon, stood

CLOTH = np.array([
    (0.12, 0.12, 0.15), (0.20, 0.24, 0.36), (0.62, 0.12, 0.14), (0.80, 0.78, 0.74), (0.30, 0.38, 0.28), (0.72, 0.52, 0.18),
    (0.24, 0.44, 0.62),
    (0.45, 0.32, 0.24), (0.66, 0.40, 0.52), (0.35, 0.35, 0.38),
])  # fmt: skip
TROUSERS = np.array([(0.10, 0.11, 0.16), (0.18, 0.24, 0.40), (0.30, 0.28, 0.26), (0.08, 0.08, 0.09), (0.46, 0.40, 0.32)])
SKIN = np.array([(0.92, 0.72, 0.60), (0.80, 0.58, 0.44), (0.58, 0.38, 0.27), (0.36, 0.23, 0.17)])
HAIR = np.array([(0.08, 0.06, 0.05), (0.28, 0.18, 0.10), (0.55, 0.40, 0.20), (0.50, 0.50, 0.50)])
HELMETS = np.array([(0.85, 0.85, 0.85), (0.75, 0.12, 0.12), (0.10, 0.25, 0.55), (0.12, 0.12, 0.14)])
HAIRCUT = polygon([(-0.06, 0.91), (-0.058, 0.955), (-0.03, 0.992), (0.03, 0.992), (0.058, 0.955), (0.06, 0.91)])
TYRE, FRAME, LAMP = (0.05, 0.05, 0.06), (0.45, 0.10, 0.12), (0.85, 0.12, 0.08)


def pick(table: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Rows of a table of colours by numbers in [0, 1]: `(k, 3)`."""
    return table[(number * len(table)).astype(int).clip(0, len(table) - 1)]


def people_mesh(p: dict[str, np.ndarray], kind: int) -> Mesh:
    """Standing and walking people with coats, trousers, hair and sometimes a bag."""
    size = np.where(p["height"] < 0.12, 1.15, 1.56 + 0.34 * p["height"])
    swing = np.where(p["stride"] < 0.3, 0.02, 0.17 * (p["stride"] - 0.3) / 0.7) * np.where(p["build"] < 0.5, 1, -1)
    wide = 0.9 + 0.35 * p["build"]
    coat, hem = pick(CLOTH, p["coat"]), np.where(p["turned"] * 7 % 1 < 0.35, 0.30, 0.46)
    legs, skin, hair = pick(TROUSERS, p["trousers"]), pick(SKIN, p["skin"]), pick(HAIR, p["skin"] * 7 % 1)
    bag = np.where(p["stride"] * 9 % 1 < 0.35, 1.0, 0.0)
    one = np.ones_like(size)
    parts = [  # (polygon of unit height, colour)
        (limb(-0.035 * wide, 0.48, -0.035 - swing, 0.05, 0.052 * wide, 0.036), legs * 0.85),
        (limb(0.035 * wide, 0.48, 0.035 + swing, 0.05, 0.052 * wide, 0.036), legs),
        (limb(-0.045 - swing, 0.02, -0.005 - swing, 0.02, 0.022, 0.020), 0.08 * one[:, None] * np.ones(3)),
        (limb(0.025 + swing, 0.02, 0.065 + swing, 0.02, 0.022, 0.020), 0.08 * one[:, None] * np.ones(3)),
        (limb(-0.105 * wide, 0.78, -0.125 * wide + swing * 0.7, 0.50, 0.034, 0.026), coat * 0.78),
        (_torso(wide, hem), coat),
        (limb(0.105 * wide, 0.78, 0.125 * wide - swing * 0.7, 0.50, 0.034, 0.026), coat * 0.88),
        (_hand(0.125 * wide - swing * 0.7), skin),
        (_bag(0.13 * wide - swing * 0.7, bag), pick(CLOTH, p["skin"] * 3 % 1) * 0.8),
        (_ones(limb(0, 0.85, 0, 0.80, 0.032, 0.036), one), skin * 0.85),
        (_ones(disc(0, 0.915, 0.056, 0.070), one), skin),
        (_ones(HAIRCUT, one), hair),
    ]  # fmt: skip
    corners = np.stack([np.broadcast_to(part, (len(size), 8, 3)) for part, _ in parts], 1)
    colour = np.stack([c for _, c in parts], 1)
    return mesh(p["scene"], p["z"], stood(corners, p["x"], p["z"], size), colour, kind, "skin")


def _ones(part: np.ndarray, one: np.ndarray) -> np.ndarray:
    return part[None] * one[:, None, None]


def _torso(wide: np.ndarray, hem: np.ndarray) -> np.ndarray:
    points = [(-0.115, 0.81), (-0.06, 0.845), (0.06, 0.845), (0.115, 0.81)]
    x = np.stack([wide * x for x, _ in points] + [0.092 * wide, -0.092 * wide] + [-0.092 * wide] * 2, -1)
    y = np.stack([0 * wide + y for _, y in points] + [hem] * 4, -1)
    return np.stack([x, y, 0 * x], -1)


def _hand(x: np.ndarray) -> np.ndarray:
    return disc(0, 0.475, 0.026, 0.030)[None] + np.stack([x, 0 * x, 0 * x], -1)[:, None]


def _bag(x: np.ndarray, shown: np.ndarray) -> np.ndarray:
    bag = polygon([(-0.05, 0.28), (0.05, 0.28), (0.05, 0.42), (-0.05, 0.42)])
    return bag[None] * shown[:, None, None] + np.stack([x, 0.35 * (1 - shown), 0 * x], -1)[:, None]


def riders_mesh(r: dict[str, np.ndarray], kind: int) -> list[Mesh]:
    """People on bicycles, from the side or from behind. The bicycle belongs to its rider."""
    aside = r["turned"] < 0.45
    flip = np.where(r["side"] * 5 % 1 < 0.5, -1.0, 1.0)
    return [_riders(r, aside, SIDE, flip, kind), _riders(r, ~aside, BEHIND, np.ones_like(flip), kind)]


def _riders(r: dict[str, np.ndarray], which: np.ndarray, parts: list[tuple], flip: np.ndarray, kind: int) -> Mesh:
    some, flip = {name: value[which] for name, value in r.items()}, flip[which]
    shape = np.stack([part for part, _ in parts])[None] * np.stack([flip, 1 + 0 * flip, 1 + 0 * flip], -1)[:, None, None]
    coat, legs, skin = pick(CLOTH, some["coat"]), pick(TROUSERS, some["trousers"]), pick(SKIN, some["skin"])
    roles = {
        "coat": coat,
        "sleeve": coat * 0.85,
        "leg": legs,
        "far leg": legs * 0.75,
        "skin": skin,
        "helmet": pick(HELMETS, some["coat"] * 7 % 1),
    }
    roles |= {name: np.broadcast_to(colour, coat.shape) for name, colour in (("tyre", TYRE), ("frame", FRAME), ("lamp", LAMP))}
    colour = np.stack([roles[role] for _, role in parts], 1)
    glow = np.array([LAMP if role == "lamp" else (0.0, 0.0, 0.0) for _, role in parts])
    return mesh(some["scene"], some["z"], stood(shape, some["x"], some["z"], 0.95 + 0.12 * some["build"]), colour, kind, "skin", glow=glow)


def _wheel(x: float) -> list[tuple]:
    turn = np.arange(9) * np.pi / 4
    points = [(x + 0.32 * np.cos(a), 0.34 + 0.32 * np.sin(a)) for a in turn]
    return [(limb(*a, *b, 0.035, 0.035), "tyre") for a, b in pairwise(points)]


SIDE = [
    (limb(-0.15, 0.98, 0.22, 0.66, 0.10, 0.075), "far leg"), (limb(0.22, 0.66, 0.10, 0.22, 0.07, 0.05), "far leg"),
    *_wheel(-0.52), *_wheel(0.52),
    (limb(-0.52, 0.34, -0.08, 0.36, 0.028, 0.028), "frame"), (limb(-0.08, 0.36, -0.18, 0.90, 0.028, 0.028), "frame"),
    (limb(-0.08, 0.36, 0.38, 0.86, 0.028, 0.028), "frame"), (limb(-0.16, 0.84, 0.38, 0.86, 0.028, 0.028), "frame"),
    (limb(0.52, 0.34, 0.38, 1.00, 0.028, 0.028), "frame"), (limb(-0.56, 0.66, -0.56, 0.72, 0.04, 0.04), "lamp"),
    (limb(-0.15, 0.98, 0.16, 0.76, 0.11, 0.08), "leg"), (limb(0.16, 0.76, -0.04, 0.32, 0.08, 0.055), "leg"),
    (limb(-0.16, 1.00, 0.08, 1.45, 0.15, 0.17), "coat"), (limb(0.08, 1.42, 0.40, 1.04, 0.065, 0.045), "sleeve"),
    (disc(0.20, 1.66, 0.105, 0.125), "skin"), (polygon([(0.07, 1.68), (0.09, 1.78), (0.18, 1.83), (0.28, 1.79), (0.33, 1.70)]), "helmet"),
]  # fmt: skip
BEHIND = [
    (limb(0, 0.04, 0, 0.66, 0.045, 0.045), "tyre"), (limb(-0.30, 1.02, 0.30, 1.02, 0.03, 0.03), "tyre"),
    (limb(-0.10, 0.95, -0.13, 0.42, 0.095, 0.06), "far leg"), (limb(0.10, 0.95, 0.13, 0.26, 0.095, 0.06), "leg"),
    (limb(-0.13, 0.40, -0.13, 0.34, 0.06, 0.06), "tyre"), (limb(0.13, 0.24, 0.13, 0.18, 0.06, 0.06), "tyre"),
    (limb(0, 0.70, 0, 0.76, 0.05, 0.05), "lamp"), (limb(-0.20, 1.42, -0.29, 1.06, 0.065, 0.05), "sleeve"),
    (limb(0.20, 1.42, 0.29, 1.06, 0.065, 0.05), "sleeve"),
    (polygon([(-0.17, 0.92), (0.17, 0.92), (0.24, 1.44), (0.12, 1.54), (-0.12, 1.54), (-0.24, 1.44)]), "coat"),
    (disc(0, 1.66, 0.095, 0.12), "skin"), (polygon([(-0.115, 1.67), (-0.09, 1.78), (0, 1.82), (0.09, 1.78), (0.115, 1.67)]), "helmet"),
]  # fmt: skip

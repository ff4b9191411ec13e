"""What stands still: buildings along the street, the skyline, trees and bushes, lamps, traffic lights and signs."""

from __future__ import annotations

import numpy as np

from core.worlds.street_layout import Road, Streets, along, kept, sides
from core.worlds.street_mesh import MATERIALS, Mesh, disc, limb, mesh, outward, polygon, stood
from core.worlds.street_people import pick

BUILDING, POLE, SIGNAL, SIGN, VEGETATION = 2, 5, 6, 7, 8  # Cityscapes train ids
FRONTS = np.array([
    (0.72, 0.62, 0.50), (0.62, 0.36, 0.28), (0.80, 0.74, 0.62), (0.58, 0.58, 0.58), (0.70, 0.52, 0.42), (0.84, 0.80, 0.74),
    (0.48, 0.40, 0.36),
    (0.66, 0.66, 0.58), (0.74, 0.64, 0.36), (0.55, 0.60, 0.66),
])  # fmt: skip
ROOFS = np.array([(0.45, 0.20, 0.15), (0.25, 0.24, 0.26), (0.36, 0.26, 0.20)])
GREENS = np.array([(0.20, 0.36, 0.12), (0.26, 0.40, 0.16), (0.15, 0.30, 0.13), (0.34, 0.42, 0.15)])
IRON, SIGNAL_BOX = (0.32, 0.33, 0.34), (0.07, 0.08, 0.08)
END = 14.0  # metres that a building reaches back from the street
LEAVES = 26


def quads(*corners: tuple[np.ndarray, np.ndarray | float, np.ndarray]) -> np.ndarray:
    """Four corners (x, y, z) of k polygons each → `(k, 1, 8, 3)`."""
    points = [np.stack(np.broadcast_arrays(*c), -1) for c in corners]
    return np.stack(points + [points[-1]] * (8 - len(points)), 1)[:, None]


def buildings(s: Streets, road: Road) -> dict[str, np.ndarray]:
    """Fronts from z0 to z1 on both sides; where none stands there is a hedge."""
    b = s.slots("building")
    length = 7 + 10 * b["length"]
    ends = np.concatenate([np.cumsum(length[:, :8], 1), np.cumsum(length[:, 8:], 1)], 1) + 2.2
    z0, z1 = ends - length, ends
    low, high = road.crossing - 5.0, road.crossing + 5.0
    z1 = np.where((z0 < low) & (z1 > low), low, z1)
    z0 = np.where((z0 >= low) & (z0 < high), high, z0)
    green = np.where(sides(16) < 0, s.fact("green_left"), s.fact("green_right")) < 0.16
    stands = b["present"] > np.where(green, 0.8, 0.10)
    away = road.half + road.walk + np.where(sides(16) < 0, *road.setback)
    xa, xb = (road.centre(z) + sides(16) * away for z in (z0, z1))
    columns = {k: b[k] for k in ("height", "hue", "tone", "bay", "floor", "window", "roof", "seed")}
    return kept(z1 - z0 > 0.5, z0=z0, z1=z1, xa=xa, xb=xb, side=sides(16), stands=stands, **columns)


def building_meshes(s: Streets, road: Road) -> list[Mesh]:
    """Street fronts, the ends that face us, roofs, and hedges in the gaps."""
    b = buildings(s, road)
    height = np.where(b["stands"], 5.5 + 13 * b["height"] ** 1.2, 1.9 + 1.3 * b["height"])
    xa, xb, z0, z1, back = b["xa"], b["xb"], b["z0"], b["z1"], b["side"] * END
    front = quads((xa, 0, z0), (xb, 0, z1), (xb, height, z1), (xa, height, z0))
    end = quads((xa, 0, z0), (xa + back, 0, z0), (xa + back, height, z0), (xa, height, z0))
    centre = np.stack([(xa + xb + back) / 2, height / 2, (z0 + z1) / 2], -1)[:, None]
    colour = np.where(b["stands"][:, None], pick(FRONTS, b["hue"]) * (0.8 + 0.35 * b["tone"])[:, None], pick(GREENS, b["hue"]))[:, None]
    kind = np.where(b["stands"], BUILDING, VEGETATION)[:, None]
    material = np.where(b["stands"], MATERIALS["wall"], MATERIALS["leaves"])[:, None]
    seed, shop = np.floor(b["seed"] * 9973), b["roof"] * 7 % 1
    wall = np.stack([2.7 + 0.9 * b["floor"], 1.8 + 1.8 * b["bay"], 0.35 + 0.35 * b["window"], seed, shop], -1)
    lines = np.stack([xa, z0, xb, z1], -1)[:, None], np.stack([xa, z0, xa + back, z0], -1)[:, None]
    both = [
        mesh(b["scene"], z1, face, colour * shade, kind, material, normal=outward(face, centre), line=line, wall=wall[:, None])
        for face, line, shade in ((end, lines[1], 0.92), (front, lines[0], 1.0))
    ]
    return [both[0], _roofs(b, height), both[1]]


def _roofs(b: dict[str, np.ndarray], height: np.ndarray) -> Mesh:
    """Steep roofs on half of the buildings, with the gable that faces us."""
    pitched = b["stands"] & (b["roof"] < 0.5)
    b, h = {name: value[pitched] for name, value in b.items()}, height[pitched]
    rise, deep = 1.6 + 2.2 * b["tone"], b["side"] * 1.5
    slope = quads((b["xa"], h, b["z0"]), (b["xb"], h, b["z1"]), (b["xb"] + deep, h + rise, b["z1"]), (b["xa"] + deep, h + rise, b["z0"]))
    far = b["xa"] + b["side"] * END
    gable = quads((b["xa"], h, b["z0"]), (far, h, b["z0"]), (far - deep, h + rise, b["z0"]), (b["xa"] + deep, h + rise, b["z0"]))
    normal = np.stack([np.stack([0 * h, 0.4 + 0 * h, -0.9 + 0 * h], -1), np.stack([-b["side"] * 0.8, 0.6 + 0 * h, 0 * h], -1)], 1)
    return mesh(
        b["scene"], b["z1"], np.concatenate([gable, slope], 1), pick(ROOFS, b["hue"] * 3 % 1)[:, None], BUILDING, "roof", normal=normal
    )


def skyline(s: Streets) -> Mesh:
    """Houses and woods far away that close the view."""
    k = s.slots("skyline")
    z = 135.0 + 0 * k["height"]
    place = (np.arange(14)[None] - 6.5) * 17 + 0 * z
    t = kept(z > 0, x=place, z=z, **k)
    wooded = t["green"] < 0.35
    h, half = np.where(wooded, 5 + 6 * t["height"], 6 + 16 * t["height"] ** 1.5), 9.0
    box = quads((t["x"] - half, 0, t["z"]), (t["x"] + half, 0, t["z"]), (t["x"] + half * 0.9, h, t["z"]), (t["x"] - half * 0.9, h, t["z"]))
    colour = np.where(wooded[:, None], pick(GREENS, t["hue"]), pick(FRONTS, t["hue"]) * 0.9)[:, None]
    kind = np.where(wooded, VEGETATION, BUILDING)[:, None]
    return mesh(t["scene"], t["z"], box, colour, kind, np.where(wooded, MATERIALS["leaves"], MATERIALS["plain"])[:, None])


def _leaves(t: dict[str, np.ndarray], crown: np.ndarray, radius: np.ndarray, tall: np.ndarray, kind: int) -> Mesh:
    """A heap of round clumps about a centre at height `crown`, back ones darker."""
    seed = t["seed"][:, None] * 1000
    i = np.arange(LEAVES)[None]
    a, b, c = (np.modf(np.abs(np.sin(i * k + seed) * 43758.5453))[0] for k in (12.9898, 78.233, 37.719))
    angle, far = a * 2 * np.pi, np.sqrt(b) * 0.82
    dx, dy = far * np.cos(angle), far * np.sin(angle)
    size = (0.26 + 0.2 * c) * (1.1 - 0.5 * far)
    blob = disc(0, 0, 1, 1)[None, None] * np.stack([size * radius[:, None], size * 0.8 * tall[:, None], 0 * size], -1)[:, :, None]
    centre = np.stack([dx * radius[:, None] + t["x"][:, None], crown[:, None] + dy * tall[:, None], 0 * dx + t["z"][:, None]], -1)
    shade = 0.74 + 0.22 * i / LEAVES + 0.18 * c
    normal = np.stack([dx * 0.8, 0.35 + 0.75 * dy, -0.6 + 0 * dx], -1)
    normal = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
    colour = pick(GREENS, t["hue"])[:, None] * shade[..., None] * (0.85 + 0.4 * t["tone"])[:, None, None]
    return mesh(t["scene"], t["z"] - 0.01, blob + centre[:, :, None], colour, kind, "leaves", normal=normal)


def plants(s: Streets, road: Road) -> list[Mesh]:
    """Trees on the pavements and behind the fronts, bushes at the walls."""
    t = s.slots("tree")
    z = along(12, 7.5, 7.0) + 4 * t["place"]
    green = np.where(sides(12) < 0, s.fact("green_left"), s.fact("green_right"))
    away = road.half + np.where(t["lean"] < 0.7, 0.8, road.walk + 0.5)
    stands = (t["present"] < 0.62 - 0.45 * green) & road.free(z)
    trees = kept(stands, x=road.centre(z) + sides(12) * away, z=z, **{k: t[k] for k in ("height", "width", "hue", "tone", "seed")})
    tall = 4.2 + 4.5 * trees["height"]
    trunk = limb(0, 0, 0, tall * 0.62, 0.11 + tall * 0.012, 0.09)
    stems = mesh(trees["scene"], trees["z"], stood(trunk[:, None], trees["x"], trees["z"]), (0.24, 0.18, 0.13), VEGETATION)
    crowns = _leaves(trees, tall * 0.68, tall * (0.26 + 0.1 * trees["width"]), tall * 0.36, VEGETATION)
    b = s.slots("bush")
    z = along(8, 6.0, 8.5) + 6 * b["place"]
    x = road.centre(z) + sides(8) * (road.half + road.walk + 0.2)
    some = kept((b["present"] < 0.4) & road.free(z), x=x, z=z, **{k: b[k] for k in ("height", "width", "hue", "tone", "seed")})
    high = 0.45 + 0.5 * some["height"]
    return [stems, crowns, _leaves(some, high * 0.8, 0.7 + 0.9 * some["width"], high, VEGETATION)]


def lamps(s: Streets, road: Road) -> dict[str, np.ndarray]:
    """Street lamps on one or both sides; `reach` points over the road."""
    t = s.slots("lamp")
    z = along(10, 9.0, 15.0) + 5 * t["place"]
    wanted = np.where(sides(10) < 0, s.fact("lamps") < 0.7, s.fact("lamps") > 0.35)
    shown = wanted & road.free(z, 4.0) & (t["present"] < 0.9)
    return kept(shown, x=road.centre(z) + sides(10) * (road.half + 0.45), z=z, reach=-sides(10) * 1.5)


def lamps_mesh(t: dict[str, np.ndarray]) -> Mesh:
    """A post, an arm and the lamp."""
    flip = np.sign(t["reach"])[:, None, None, None] * np.array([1.0, 0, 0]) + np.array([0, 1.0, 1.0])
    parts = np.stack([limb(0, 0, 0, 6.3, 0.09, 0.06), limb(0, 6.25, 1.3, 6.6, 0.05, 0.045), limb(1.1, 6.56, 1.75, 6.62, 0.13, 0.11)])
    glow = np.array([(0, 0, 0), (0, 0, 0), (2.6, 1.9, 1.0)])
    return mesh(t["scene"], t["z"], stood(parts[None] * flip, t["x"], t["z"]), (IRON, IRON, (0.75, 0.75, 0.70)), POLE, glow=glow)


def signals(s: Streets, road: Road) -> Mesh:
    """Traffic lights at the crossing, in about half of the scenes that have one; all show the same colour."""
    t = s.slots("signal")
    z = np.minimum(road.crossing, 60) + np.array([[-5.6, -5.6, 5.6, 5.6]]) + 0.4 * t["place"]
    side = np.array([[-1.0, 1.0, -1.0, 1.0]])
    shown = (s.fact("signals") < 0.5) & np.isfinite(road.crossing) & (t["present"] < 0.85)
    k = kept(shown, x=road.centre(z) + side * (road.half + 0.35), z=z, side=side, state=s.fact("signal_state"))
    state = np.digitize(k["state"], (0.42, 0.58))  # red, amber, green
    box = polygon([(-0.24, 2.25), (0.24, 2.25), (0.24, 3.45), (-0.24, 3.45)])
    parts = np.stack([limb(0, 0, 0, 3.3, 0.075, 0.06), box] + [disc(0, 3.22 - 0.37 * j, 0.155, 0.155) for j in range(3)])
    on = np.array([(1.0, 0.14, 0.10), (1.0, 0.70, 0.12), (0.15, 0.95, 0.50)])
    lights = np.where((state[:, None] == np.arange(3))[..., None], on, on * 0.14)
    colour = np.concatenate([np.broadcast_to(np.array([IRON, SIGNAL_BOX]), (len(state), 2, 3)), lights], 1)
    glow = np.concatenate([np.zeros((len(state), 2, 3)), np.where((state[:, None] == np.arange(3))[..., None], on * 1.8, 0)], 1)
    kinds = np.array([POLE, SIGNAL, SIGNAL, SIGNAL, SIGNAL])
    return mesh(k["scene"], k["z"], stood(parts, k["x"], k["z"]), colour, kinds, glow=glow)


def _sign_shapes() -> np.ndarray:
    """(shape, part, 8, 3): rim and face of a round, a triangular, a square, and an eight-sided sign about the origin."""
    triangle = [(-0.5, -0.36), (0.5, -0.36), (0.0, 0.50)]
    small = [(-0.3, -0.26), (0.3, -0.26), (0.0, 0.27)]
    square = [(-0.42, -0.42), (0.42, -0.42), (0.42, 0.42), (-0.42, 0.42)]
    shapes = [
        (disc(0, 0, 0.45, 0.45), disc(0, 0, 0.29, 0.29)), (polygon(triangle), polygon(small)),
        (polygon(square), polygon([(x * 0.55, y * 0.55) for x, y in square])), 
        (disc(0, 0, 0.46, 0.46), polygon([(-0.3, -0.09), (0.3, -0.09), (0.3, 0.09), (-0.3, 0.09)])),
    ]  # fmt: skip
    return np.array(shapes)


SIGN_SHAPES = _sign_shapes()
SIGN_COLOURS = np.array([  # rim, face
    [(0.78, 0.08, 0.08), (0.95, 0.95, 0.92)], [(0.80, 0.10, 0.08), (0.95, 0.93, 0.88)], [(0.08, 0.25, 0.66), (0.92, 0.94, 0.96)],
    [(0.76, 0.06, 0.07), (0.95, 0.95, 0.95)],
])  # fmt: skip


def signs(s: Streets, road: Road) -> Mesh:
    """Signs on posts at the kerb."""
    t = s.slots("sign")
    z = np.array([[8.0, 13.0, 19.0, 27.0]]) + 4 * t["place"]
    side = np.where(t["side"] < 0.35, -1.0, 1.0)
    k = kept(
        (t["present"] < 0.33) & road.free(z, 4), x=road.centre(z) + side * (road.half + 0.5), z=z, shape=t["shape"], height=t["height"]
    )
    which = (k["shape"] * len(SIGN_SHAPES)).astype(int).clip(0, len(SIGN_SHAPES) - 1)
    middle = 2.3 + 0.5 * k["height"]
    faces = SIGN_SHAPES[which] + np.stack([0 * middle, middle, 0 * middle], -1)[:, None, None]
    post = np.broadcast_to(limb(0, 0, 0, 2.5, 0.05, 0.045), (len(which), 1, 8, 3))
    colour = np.concatenate([np.broadcast_to(np.array(IRON) * 1.4, (len(which), 1, 3)), SIGN_COLOURS[which]], 1)
    return mesh(k["scene"], k["z"], stood(np.concatenate([post, faces], 1), k["x"], k["z"]), colour, np.array([POLE, SIGN, SIGN]))

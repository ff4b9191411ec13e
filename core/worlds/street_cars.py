"""Cars and buses as solid bodies in metres: built once as templates, turned and placed in a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.worlds.street_mesh import MATERIALS, Mesh, mesh, outward, polygon

ROLES = ("paint", "glass", "dark", "tail", "head", "plate", "trim", "sign")
COLOURS = np.array([
    (0, 0, 0), (0.16, 0.20, 0.25), (0.06, 0.06, 0.07), (0.62, 0.07, 0.06), (0.90, 0.90, 0.84), (0.85, 0.85, 0.80), (0.30, 0.31, 0.33),
    (0.95, 0.62, 0.10),
])  # fmt: skip
GLOW = np.array([(0, 0, 0), (0, 0, 0), (0, 0, 0), (1.0, 0.08, 0.05), (1.6, 1.5, 1.25), (0, 0, 0), (0, 0, 0), (0.8, 0.5, 0.1)])
MATERIAL = np.array([MATERIALS[m] for m in ("paint", "glass", "plain", "plain", "plain", "plain", "plain", "plain")])
PAINTS = np.array([
    (0.90, 0.90, 0.90), (0.68, 0.70, 0.72), (0.42, 0.44, 0.47), (0.10, 0.11, 0.13), (0.70, 0.10, 0.10), (0.14, 0.28, 0.62),
    (0.09, 0.14, 0.30),
    (0.16, 0.36, 0.24), (0.74, 0.68, 0.54), (0.86, 0.66, 0.12),
])  # fmt: skip
BUS_PAINTS = np.array([(0.82, 0.62, 0.08), (0.72, 0.08, 0.09), (0.88, 0.88, 0.86), (0.15, 0.45, 0.36), (0.16, 0.32, 0.66)])


@dataclass
class Body:
    """T faces `(T, 8, 3)` in a unit box (x and z in [-0.5, 0.5], y in [0, 1]) and the role `(T,)` that gives each its colour."""

    faces: np.ndarray
    roles: np.ndarray


def frustum(y0: float, y1: float, base: tuple, top: tuple) -> dict[str, np.ndarray]:
    """The visible faces of a tapering box; base and top are (z of the rear, z of the front, half width)."""
    (br, bf, bw), (tr, tf, tw) = base, top
    return {
        "rear": polygon([(-bw, y0, br), (bw, y0, br), (tw, y1, tr), (-tw, y1, tr)]),
        "front": polygon([(bw, y0, bf), (-bw, y0, bf), (-tw, y1, tf), (tw, y1, tf)]),
        "left": polygon([(-bw, y0, bf), (-bw, y0, br), (-tw, y1, tr), (-tw, y1, tf)]),
        "right": polygon([(bw, y0, br), (bw, y0, bf), (tw, y1, tf), (tw, y1, tr)]),
        "top": polygon([(-tw, y1, tr), (tw, y1, tr), (tw, y1, tf), (-tw, y1, tf)]),
    }


def inset(face: np.ndarray, u0: float, u1: float, v0: float, v1: float) -> np.ndarray:
    """A part of a face with four corners: from u0 to u1 across and from v0 to v1 upwards."""
    a, b, c, d = face[:4]

    def at(u: float, v: float) -> tuple[float, ...]:
        return tuple((a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + c * u) * v)

    return polygon([at(u0, v0), at(u1, v0), at(u1, v1), at(u0, v1)])


def wheels(radius_y: float, radius_z: float, places: tuple[float, ...]) -> list[tuple[str, np.ndarray]]:
    """Discs on both sides, with hubs, and the tyres as they are seen from the ends."""
    turn = (np.arange(8) + 0.5) * np.pi / 4
    parts = []
    for side in (-0.5, 0.5):
        for z in places:
            for role, size, out in (("dark", 1.0, 1.004), ("trim", 0.55, 1.008)):
                points = np.stack([0 * turn + side * out, radius_y * (1 + size * np.cos(turn)), z + size * radius_z * np.sin(turn)], -1)
                parts.append((role, points))
        for z in (-0.46, 0.46):
            x = side * 0.74
            parts.append(("dark", polygon([(x - 0.09, 0, z), (x + 0.09, 0, z), (x + 0.09, 0.25, z), (x - 0.09, 0.25, z)])))
    return parts


def car_body(rear: float, rear_top: float, front_top: float, front: float, waist: float) -> Body:
    """A car whose cabin stands on the waist between rear and front, narrowing to the roof."""
    under, low = (
        frustum(0.05, 0.25, (-0.45, 0.45, 0.44), (-0.45, 0.45, 0.44)),
        frustum(0.15, waist, (-0.5, 0.5, 0.49), (-0.485, 0.475, 0.5)),
    )
    cabin = frustum(waist - 0.01, 1.0, (rear, front, 0.465), (rear_top, front_top, 0.385))
    ends = wheels(0.21, 0.075, (-0.31, 0.31))
    parts = [("dark", under[k]) for k in ("rear", "front", "left", "right")] + [p for p in ends if abs(p[1][0, 2]) == 0.46]
    parts += [("paint", face) for face in low.values()]
    parts += [p for p in ends if abs(p[1][0, 2]) != 0.46]
    r, f = low["rear"], low["front"]
    parts += [("trim", inset(r, 0, 1, 0, 0.24)), ("tail", inset(r, 0.02, 0.2, 0.55, 0.86)), ("tail", inset(r, 0.8, 0.98, 0.55, 0.86))]
    parts += [("plate", inset(r, 0.37, 0.63, 0.34, 0.52)), ("trim", inset(f, 0, 1, 0, 0.2)), ("dark", inset(f, 0.28, 0.72, 0.36, 0.68))]
    parts += [
        ("head", inset(f, 0.03, 0.25, 0.52, 0.82)),
        ("head", inset(f, 0.75, 0.97, 0.52, 0.82)),
        ("plate", inset(f, 0.38, 0.62, 0.08, 0.24)),
    ]
    parts += [("paint", face) for face in cabin.values()]
    parts += [("glass", inset(cabin["rear"], 0.09, 0.91, 0.16, 0.88)), ("glass", inset(cabin["front"], 0.06, 0.94, 0.10, 0.90))]
    for side in ("left", "right"):
        parts += [("glass", inset(cabin[side], 0.07, 0.48, 0.14, 0.86)), ("glass", inset(cabin[side], 0.54, 0.92, 0.14, 0.86))]
    return Body(np.stack([p[1] for p in parts]), np.array([ROLES.index(p[0]) for p in parts]))


def bus_body() -> Body:
    """A city bus: one box with rows of windows and a lit sign at the front."""
    box = frustum(0.10, 1.0, (-0.5, 0.5, 0.5), (-0.5, 0.5, 0.485))
    ends = wheels(0.155, 0.045, (-0.28, 0.33))
    parts = [p for p in ends if abs(p[1][0, 2]) == 0.46] + [("paint", face) for face in box.values()]
    r, f = box["rear"], box["front"]
    parts += [
        ("glass", inset(r, 0.12, 0.88, 0.52, 0.82)),
        ("tail", inset(r, 0.04, 0.14, 0.2, 0.36)),
        ("tail", inset(r, 0.86, 0.96, 0.2, 0.36)),
    ]
    parts += [("trim", inset(r, 0, 1, 0, 0.1)), ("plate", inset(r, 0.4, 0.6, 0.12, 0.18)), ("glass", inset(f, 0.05, 0.95, 0.36, 0.84))]
    parts += [("sign", inset(f, 0.18, 0.82, 0.87, 0.97)), ("trim", inset(f, 0, 1, 0, 0.1))]
    parts += [("head", inset(f, 0.05, 0.2, 0.13, 0.22)), ("head", inset(f, 0.8, 0.95, 0.13, 0.22))]
    for side in ("left", "right"):
        parts += [("glass", inset(box[side], 0.03 + 0.16 * k, 0.16 + 0.16 * k, 0.46, 0.86)) for k in range(6)]
        parts += [("trim", inset(box[side], 0, 1, 0.2, 0.24))]
    parts += [p for p in ends if abs(p[1][0, 2]) != 0.46]
    return Body(np.stack([p[1] for p in parts]), np.array([ROLES.index(p[0]) for p in parts]))


SHAPES = (  # share of all cars below, body, (width, height, length) in metres
    (0.40, car_body(-0.47, -0.36, 0.06, 0.26, 0.60), (1.78, 1.47, 4.0)),
    (0.72, car_body(-0.36, -0.22, 0.06, 0.24, 0.62), (1.82, 1.42, 4.6)),
    (0.90, car_body(-0.48, -0.42, 0.10, 0.28, 0.58), (1.86, 1.66, 4.5)),
    (1.00, car_body(-0.495, -0.49, 0.22, 0.38, 0.56), (1.95, 2.05, 4.9)),
)
BUS, BUS_SIZE = bus_body(), (2.55, 3.05, 10.5)


def vehicles(
    things: dict[str, np.ndarray], body: Body, size: tuple[float, float, float], paint: np.ndarray, kind: int, camera: np.ndarray
) -> Mesh:
    """K vehicles of one shape at their places, only the faces that look at the camera; camera `(K,)` is its height."""
    scale = np.array(size) * (0.95 + 0.1 * things["size"])[:, None]
    local = body.faces[None] * scale[:, None, None, :]
    c, s = (fn(things["yaw"])[:, None, None] for fn in (np.cos, np.sin))
    x = local[..., 0] * c + local[..., 2] * s + things["x"][:, None, None]
    z = -local[..., 0] * s + local[..., 2] * c + things["z"][:, None, None]
    corners = np.stack([x, local[..., 1], z], -1)
    middle = np.stack([things["x"], 0.35 * scale[:, 1], things["z"]], -1)[:, None]
    normal = outward(corners, middle)
    colour = np.where((body.roles == 0)[:, None], paint[:, None], COLOURS[body.roles])
    lit = np.where(things.get("driving", np.ones(len(paint), bool))[:, None, None], GLOW[body.roles], 0)
    solid = mesh(things["scene"], things["z"], corners, colour, kind, MATERIAL[body.roles], normal=normal, glow=lit)
    eye = np.stack([0 * camera, camera, 0 * camera], -1)[:, None]
    return solid.take((((eye - corners.mean(2)) * normal).sum(-1) > 0).reshape(-1))


def cars_mesh(things: dict[str, np.ndarray], kind: int, camera: np.ndarray) -> list[Mesh]:
    """All cars, shape after shape; camera `(n,)`: its height in each scene."""
    meshes, below = [], 0.0
    for share, body, size in SHAPES:
        some = {name: value[(things["shape"] >= below) & (things["shape"] < share)] for name, value in things.items()}
        paint = PAINTS[(some["paint"] * len(PAINTS)).astype(int).clip(0, len(PAINTS) - 1)] * (0.85 + 0.3 * some["tone"])[:, None]
        meshes.append(vehicles(some, body, size, paint.clip(0, 1), kind, camera[some["scene"]]))
        below = share
    return meshes


def bus_mesh(things: dict[str, np.ndarray], kind: int, camera: np.ndarray) -> Mesh:
    """The buses."""
    paint = BUS_PAINTS[(things["paint"] * len(BUS_PAINTS)).astype(int).clip(0, len(BUS_PAINTS) - 1)] * (0.9 + 0.2 * things["tone"])[:, None]
    return vehicles(things, BUS, BUS_SIZE, paint.clip(0, 1), kind, camera[things["scene"]])

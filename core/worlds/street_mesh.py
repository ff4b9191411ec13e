"""Polygons in the world with what a light needs to know about them, and the few shapes that everything is built from."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

CORNERS = 8
MATERIALS = {name: k for k, name in enumerate(("plain", "ground", "sky", "wall", "leaves", "glass", "paint", "roof", "skin"))}


@dataclass
class Mesh:
    """P convex polygons. scene `(P,)`; order `(P, 2)`: depth of the thing and place within it; corners `(P, 8, 3)` in metres; kind `(P,)`
    Cityscapes train id; thing `(P,)` number of the thing within the batch, for counting; material `(P,)`; colour, normal, glow `(P, 3)`
    (glow: what it emits when lamps are on); top `(P,)` height of the thing; line `(P, 4)` the vertical plane (xa, za, xb, zb) it stands in;
    wall `(P, 5)`: floor height, bay width, window share, seed, shop (0 where it is no wall)."""

    scene: np.ndarray
    order: np.ndarray
    corners: np.ndarray
    kind: np.ndarray
    thing: np.ndarray
    material: np.ndarray
    colour: np.ndarray
    normal: np.ndarray
    glow: np.ndarray
    top: np.ndarray
    line: np.ndarray
    wall: np.ndarray

    def take(self, which: np.ndarray) -> Mesh:
        """Some of the polygons, by mask or by order."""
        return Mesh(*(getattr(self, field.name)[which] for field in fields(self)))


def joined(meshes: list[Mesh]) -> Mesh:
    """All polygons of several meshes, in that order; things are numbered on."""
    first = np.cumsum([0] + [m.thing.max(initial=-1) + 1 for m in meshes])
    table = {field.name: np.concatenate([getattr(m, field.name) for m in meshes]) for field in fields(Mesh)}
    table["thing"] = np.concatenate([m.thing + k for m, k in zip(meshes, first, strict=False)])
    return Mesh(**table)


def mesh(
    scene: np.ndarray, depth: np.ndarray, corners: np.ndarray, colour: np.ndarray, kind: int | np.ndarray,
    material: str | np.ndarray = "plain", *, normal: np.ndarray | tuple = (0.0, 0.3, -0.954),
    glow: np.ndarray | float = 0.0, line: np.ndarray | None = None,
    wall: np.ndarray | float = 0.0,
) -> Mesh:  # fmt: skip
    """K things of T polygons each, flattened: corners `(K, T, 8, 3)`, colour `(K, T, 3)` or what broadcasts to it, and so on."""
    k, t = corners.shape[:2]

    def table(value, *width: int) -> np.ndarray:
        return np.broadcast_to(value, (k, t, *width)).reshape(k * t, *width).astype(np.float64)

    depth_line = np.stack([-np.ones(k), depth, np.ones(k), depth], -1)[:, None]
    number = MATERIALS[material] if isinstance(material, str) else material
    return Mesh(
        scene=np.repeat(scene, t),
        order=np.stack([np.repeat(depth, t), np.tile(np.arange(t), k)], -1),
        corners=corners.reshape(k * t, CORNERS, 3),
        kind=table(kind).astype(np.uint8),
        thing=np.repeat(np.arange(k), t),
        material=table(number),
        colour=table(colour, 3),
        normal=table(np.asarray(normal), 3),
        glow=table(glow, 3),
        top=table(corners[..., 1].max((1, 2))[:, None]) if k else np.zeros(0),
        line=table(depth_line if line is None else line, 4),
        wall=table(wall, 5),
    )


def polygon(points: list[tuple[float, ...]]) -> np.ndarray:
    """A polygon `(8, 3)` from up to eight corners (x, y) or (x, y, z)."""
    full = [(*p, 0.0)[:3] for p in points]
    return np.array(full + [full[-1]] * (CORNERS - len(full)))


def disc(x: float, y: float, rx: float, ry: float) -> np.ndarray:
    """An octagon in place of an ellipse, facing the camera."""
    angles = (np.arange(CORNERS) + 0.5) * 2 * np.pi / CORNERS
    return np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles), 0 * angles], -1)


def limb(ax, ay, bx, by, ra, rb) -> np.ndarray:
    """A tapering limb from a to b, `(…, 8, 3)`; the arguments broadcast."""
    ax, ay, bx, by, ra, rb = np.broadcast_arrays(*(np.asarray(v, float) for v in (ax, ay, bx, by, ra, rb)))
    dx, dy = bx - ax, by - ay
    length = np.sqrt(dx**2 + dy**2) + 1e-9
    dx, dy = dx / length, dy / length
    ends = [
        (ax - dy * ra, ay + dx * ra), (ax - dx * ra * 0.7, ay - dy * ra * 0.7), (ax + dy * ra, ay - dx * ra),
        (bx + dy * rb, by - dx * rb), (bx + dx * rb * 0.7, by + dy * rb * 0.7), (bx - dy * rb, by + dx * rb),
    ]  # fmt: skip
    ends += [ends[-1]] * (CORNERS - len(ends))
    return np.stack([np.stack([x, y, np.zeros_like(x)], -1) for x, y in ends], -2)


def outward(corners: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Unit normals `(…, 3)` of polygons `(…, 8, 3)` that point away from a centre."""
    normal = np.cross(corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 1, :])
    normal = normal / (np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9)
    return normal * np.where(((corners.mean(-2) - centre) * normal).sum(-1, keepdims=True) < 0, -1.0, 1.0)


def stood(flat: np.ndarray, x: np.ndarray, z: np.ndarray, scale: np.ndarray | float = 1.0) -> np.ndarray:
    """Cut-outs `(T, 8, 3)` or `(K, T, 8, 3)` stood up at places on the ground, facing the camera."""
    size = np.broadcast_to(scale, x.shape)[:, None, None, None]
    return flat * size + np.stack([x, np.zeros_like(x), z], -1)[:, None, None, :]

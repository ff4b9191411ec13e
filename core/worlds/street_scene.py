"""A street as the camera sees it, before any light: at each pixel what is there, where it is, its colour and its normal.

Every domain lights the same scene by its own rules, and labels are the scene's kinds at pixel centres: picture and truth are one drawing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.worlds import fields as f
from core.worlds import street_town as town
from core.worlds.street_cars import bus_mesh, cars_mesh
from core.worlds.street_layout import Road, Streets, buses, cars, people, riders
from core.worlds.street_mesh import MATERIALS, Mesh, joined
from core.worlds.street_people import people_mesh, riders_mesh
from core.worlds.street_raster import paint

CLASSES = {
    "road": 0, "sidewalk": 1, "building": 2, "pole": 5, "traffic light": 6, "traffic sign": 7, "vegetation": 8, "sky": 10, "person": 11,
    "rider": 12, "car": 13, "bus": 15,
}  # fmt: skip
NEAR = 0.6  # metres: what comes nearer to the camera is left out
SKY_FAR = 400.0


@dataclass
class Scene:
    """n scenes on a grid.

    kind, thing `(n, h, w)` long (thing -1: none); material `(n, h, w)` uint8; colour, normal, glow `(n, 3, h, w)`; x, y, z `(n, h, w)`
    metres; across `(n, h, w)`: metres from the middle of the road; along `(n, h, w)`: metres along a wall; top `(n, h, w)`: height of the
    thing; wall `(n, 5, h, w)`; shadow `(n, h, w)` bool: ground that the sun does not reach; sun `(n, 3)`: the direction to it; lamps
    `(n, 10, 3)`: x, z, and 1 where one stands.
    """

    streets: Streets
    road: Road
    kind: Tensor
    material: Tensor
    thing: Tensor
    colour: Tensor
    normal: Tensor
    glow: Tensor
    x: Tensor
    y: Tensor
    z: Tensor
    across: Tensor
    along: Tensor
    top: Tensor
    wall: Tensor
    shadow: Tensor
    sun: Tensor
    lamps: Tensor

    def is_a(self, *names: str) -> Tensor:
        """Where one of these materials is, `(n, h, w)` float."""
        return torch.stack([self.material == MATERIALS[name] for name in names]).any(0).float()

    def fact(self, name: str, low: float = 0.0, high: float = 1.0) -> Tensor:
        """A number of each scene, `(n, 1, 1)`, stretched to [low, high]."""
        return torch.tensor(self.streets.fact(name, low, high)).float()[:, :, None]


def furniture(s: Streets, road: Road) -> Mesh:
    """Everything that stands in the scenes, sorted scene by scene from far to near."""
    camera = road.camera[:, 0]
    meshes = [
        town.skyline(s), *town.building_meshes(s, road), *town.plants(s, road), town.lamps_mesh(town.lamps(s, road)), town.signals(s, road),
        town.signs(s, road), *cars_mesh(cars(s, road), CLASSES["car"], camera), bus_mesh(buses(s, road), CLASSES["bus"], camera),
        people_mesh(people(s, road), CLASSES["person"]), *riders_mesh(riders(s, road), CLASSES["rider"]),
    ]  # fmt: skip
    whole = joined(meshes)
    whole = whole.take(whole.corners[..., 2].min(1) > NEAR)
    return whole.take(np.lexsort((whole.order[:, 1], whole.thing, -whole.order[:, 0], whole.scene)))


def project(road: Road, scene: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Picture coordinates `(P, V, 2)` of points in the world."""
    focal, camera, horizon, vanish = (v[scene] for v in (road.focal, road.camera, road.horizon, road.vanish))
    return np.stack(
        [vanish + focal * corners[..., 0] / corners[..., 2], horizon + focal * (camera - corners[..., 1]) / corners[..., 2]], -1
    )


def shadows(m: Mesh, road: Road, sun: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Where the ground lies in shadow `(n, h, w)`: every polygon that stands up, thrown along the sun's rays."""
    stands = (m.order[:, 0] < 100) & (m.corners[..., 2].max(1) < 90)
    corners, ray = m.corners[stands], sun[m.scene[stands]][:, None]
    thrown = corners - ray * (corners[..., 1:2] / ray[..., 1:2])
    thrown[..., 2] = thrown[..., 2].clip(NEAR)
    return paint(m.scene[stands], project(road, m.scene[stands], thrown), len(sun), *size) >= 0


def sun_directions(s: Streets) -> np.ndarray:
    """Unit vectors `(n, 3)` towards the sun: from the left or the right, mostly behind the camera."""
    side = s.fact("sun_side", -1, 1)
    side = np.sign(side) * (0.35 + 0.65 * np.abs(side))
    sun = np.concatenate([side, s.fact("sun_height", 0.75, 1.5), s.fact("sun_depth", -0.9, 0.25)], 1)
    return sun / np.linalg.norm(sun, axis=1, keepdims=True)


def kinds(s: Streets, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Train ids and things `(n, height, width)` at pixel centres; a thing's number is -1 on the ground and in the sky."""
    road = Road(s)
    m = furniture(s, road)
    shown = paint(m.scene, project(road, m.scene, m.corners), len(s), height, width)
    table = np.append(m.kind, 0).astype(np.int64)
    return np.where(shown >= 0, table[shown], _ground(road, height, width)[0]), np.where(shown >= 0, np.append(m.thing, -1)[shown], -1)


def _ground(road: Road, height: int, width: int) -> tuple[np.ndarray, ...]:
    """Kind, distance, X and metres from the middle of the road, were the street empty; each `(n, h, w)`."""
    gx, gy = (axis.double().numpy() for axis in f.grid(height, width))
    below = gy - road.horizon[..., None]
    z = np.where(below > 0.004, road.focal[..., None] * road.camera[..., None] / np.maximum(below, 0.004), SKY_FAR)
    x = (gx - road.vanish[..., None]) / road.focal[..., None] * z
    across = x - (road.start[..., None] + road.bend[..., None] * z**2)
    drives = (np.abs(across) < road.half[..., None]) | (np.abs(z - road.crossing[..., None]) < 4.2)
    kind = np.where(below > 0.004, np.where(drives, CLASSES["road"], CLASSES["sidewalk"]), CLASSES["sky"])
    return kind, z, x, across


def see(s: Streets, height: int, width: int) -> Scene:
    """The scenes on a grid of pixels."""
    road, n = Road(s), len(s)
    m, sun = furniture(s, road), sun_directions(s)
    shown = paint(m.scene, project(road, m.scene, m.corners), n, height, width)
    kind, z, x, across = _ground(road, height, width)
    rows = np.concatenate(
        [m.colour, m.normal, m.glow, m.line, m.wall, m.top[:, None], m.material[:, None], m.kind[:, None], m.thing[:, None]], 1
    )
    up, nothing = [0, 1.0, 0], [0] * 3
    base = np.array([[0.5] * 3 + up + nothing + [0] * 4 + [0] * 5 + [0, MATERIALS[name], 0, -1] for name in ("ground", "sky")])
    table = torch.tensor(np.concatenate([rows, base])).float()
    which = np.where(shown >= 0, shown, len(rows) + (kind == CLASSES["sky"]))
    seen = table[torch.tensor(which)].movedim(-1, 1)
    solid = torch.tensor(shown >= 0)
    x, y, z, along = _places(road, seen[:, 9:13], solid, torch.tensor(x).float(), torch.tensor(z).float())
    lamps = town.lamps(s, road)
    lit = torch.zeros(n, 10, 3)
    place = np.concatenate([np.arange(c) for c in np.bincount(lamps["scene"], minlength=n)]).astype(int)
    lit[lamps["scene"], place] = torch.tensor(np.stack([lamps["x"] + lamps["reach"], lamps["z"], np.ones(len(place))], -1)).float()
    return Scene(
        s, road, torch.where(solid, seen[:, 20].long(), torch.tensor(kind)), seen[:, 19].to(torch.uint8), seen[:, 21].long(), seen[:, 0:3],
        seen[:, 3:6], seen[:, 6:9], x, y, z, torch.tensor(across).float(), along, seen[:, 18], seen[:, 13:18],
        torch.tensor(shadows(m, road, sun, (height, width))), torch.tensor(sun).float(), lit,
    )  # fmt: skip


def _places(road: Road, line: Tensor, solid: Tensor, x: Tensor, z: Tensor) -> tuple[Tensor, ...]:
    """X, Y, Z of what each pixel shows and its metres along the wall: the ray through the pixel meets the wall's vertical plane."""
    gx, gy = f.grid(*x.shape[1:])
    focal, camera, horizon, vanish = (torch.tensor(v).float()[..., None] for v in (road.focal, road.camera, road.horizon, road.vanish))
    slope = (gx - vanish) / focal
    xa, za, xb, zb = line.unbind(1)
    part = (slope * za - xa) / torch.where(solid, (xb - xa) - slope * (zb - za), torch.ones_like(xa))
    z = torch.where(solid, (za + part * (zb - za)).clamp(NEAR, SKY_FAR), z)
    y = torch.where(solid, camera - (gy - horizon) * z / focal, torch.zeros_like(z))
    along = part * torch.sqrt((xb - xa) ** 2 + (zb - za) ** 2)
    return slope * z, y, z, along

"""What stands where in a street: an item's numbers in [0, 1], and the camera, the road and the places that they mean.

The world's frame is the camera's: X to the right, Y up from the ground, Z forwards, in metres; the car that carries the camera drives along
Z. All arithmetic here is numpy over the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SCENE = (
    "focal", "camera", "horizon", "vanish", "bend", "half", "walk", "park_left", "park_right", "crossing", "crossing_at", "zebra",
    "traffic", "crowd", "signals", "signal_state", "sun_side", "sun_height", "sun_depth", "cloud", "haze", "asphalt", "marks", "paving",
    "green_left",
    "green_right", "skyline", "warmth", "lamps", "window_light", "setback_left", "setback_right",
)  # fmt: skip
SLOTS = {  # kind: (how many places a scene has for it, the facts of one)
    "building": (16, ("present", "length", "height", "hue", "tone", "bay", "floor", "window", "roof", "seed")),
    "skyline": (14, ("height", "hue", "tone", "green", "seed")),
    "tree": (12, ("present", "place", "height", "width", "hue", "tone", "lean", "seed")),
    "bush": (8, ("present", "place", "height", "width", "hue", "tone", "lean", "seed")),
    "parked": (14, ("present", "place", "shape", "paint", "tone", "size", "turned")),
    "moving": (5, ("present", "place", "shape", "paint", "tone", "size", "turned")),
    "bus": (1, ("present", "place", "paint", "tone", "size", "lane")),
    "person": (9, ("present", "place", "across", "height", "coat", "trousers", "skin", "stride", "turned", "build")),
    "rider": (2, ("present", "place", "across", "coat", "trousers", "skin", "turned", "side", "build")),
    "lamp": (10, ("present", "place")),
    "signal": (4, ("present", "place")),
    "sign": (4, ("present", "place", "shape", "height", "side")),
}  # fmt: skip
WIDTH = len(SCENE) + sum(count * len(facts) for count, facts in SLOTS.values())


@dataclass(frozen=True)
class Streets:
    """n scenes: numbers `(n, WIDTH)` uniform in [0, 1], seeds `(n,)` long for textures and wording."""

    numbers: Tensor
    seeds: Tensor

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, index: int | slice | Tensor | list[int]) -> Streets:
        index = [index] if isinstance(index, int) else index
        return Streets(self.numbers[index], self.seeds[index])

    def fact(self, name: str, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """A number of the whole scene as a column `(n, 1)`, stretched to [low, high]."""
        place = SCENE.index(name)
        return low + (high - low) * self.numbers[:, place : place + 1].double().numpy()

    def slots(self, kind: str) -> dict[str, np.ndarray]:
        """The facts of all places for a kind of thing, each `(n, places)`."""
        start = len(SCENE)
        for name, (count, facts) in SLOTS.items():
            if name == kind:
                table = self.numbers[:, start : start + count * len(facts)].double().numpy().reshape(len(self), count, len(facts))
                return {fact: table[..., k] for k, fact in enumerate(facts)}
            start += count * len(facts)
        raise KeyError(kind)


def sample(count: int, seed: int) -> Streets:
    """`count` street scenes. Rows are drawn one after the other: the first k do not depend on `count`."""
    rows = np.random.default_rng([seed, 11]).random((count, WIDTH + 1))
    return Streets(torch.tensor(rows[:, :-1]).float(), torch.tensor((rows[:, -1] * 2**31).astype(np.int64)))


class Road:
    """The camera and the course of the road; every measure is a column `(n, 1)` that broadcasts over places."""

    def __init__(self, s: Streets):
        self.focal = s.fact("focal", 1.2, 1.55)
        self.camera = s.fact("camera", 1.35, 1.95)
        self.horizon = s.fact("horizon", -0.08, 0.07)
        self.vanish = s.fact("vanish", -0.30, 0.30)
        self.bend = s.fact("bend", -1, 1) ** 3 * 0.006
        self.park_left, self.park_right = s.fact("park_left") < 0.55, s.fact("park_right") < 0.55
        self.half = s.fact("half", 3.2, 4.6) + 0.9 * self.park_left + 0.9 * self.park_right
        self.start = -self.half * 0.36  # the camera drives in the right lane
        self.walk = s.fact("walk", 2.0, 4.2)
        self.setback = (s.fact("setback_left") ** 2 * 4, s.fact("setback_right") ** 2 * 4)
        self.crossing = np.where(s.fact("crossing") < 0.42, s.fact("crossing_at", 12, 29), np.inf)

    def centre(self, z: np.ndarray) -> np.ndarray:
        """X of the middle of the road at distance z."""
        return self.start + self.bend * z**2

    def turn(self, z: np.ndarray) -> np.ndarray:
        """The road's heading at distance z, radians from straight ahead."""
        return np.arctan(2 * self.bend * z)

    def free(self, z: np.ndarray, margin: float = 5.5) -> np.ndarray:
        """Whether a place along the road lies outside the crossing."""
        return ~(np.abs(z - self.crossing) < margin)


def kept(present: np.ndarray, **columns: np.ndarray) -> dict[str, np.ndarray]:
    """The places where something stands, scene after scene: columns `(k,)` and `scene`, which item each belongs to."""
    return {"scene": np.nonzero(present)[0], **{name: np.broadcast_to(value, present.shape)[present] for name, value in columns.items()}}


def sides(count: int) -> np.ndarray:
    """-1 for the first half of the places (left), 1 for the second."""
    return np.where(np.arange(count) < count // 2, -1.0, 1.0)[None]


def along(count: int, first: float, step: float) -> np.ndarray:
    """Distances of the places of both sides, near to far."""
    return first + step * (np.arange(count) % (count // 2))[None]


def cars(s: Streets, road: Road) -> dict[str, np.ndarray]:
    """Parked at the kerbs, driving ahead, coming towards us, and crossing."""
    p, m = s.slots("parked"), s.slots("moving")
    side = sides(14)
    z = along(14, 8.0, 6.3) + 1.6 * p["place"]
    parks = np.where(side < 0, road.park_left, road.park_right) & (p["present"] < 0.62) & road.free(z, 7.5)
    heading = road.turn(z) + np.where((side < 0) ^ (p["turned"] < 0.1), np.pi, 0)
    looks = ("shape", "paint", "tone", "size")
    parked = kept(parks, x=road.centre(z) + side * (road.half - 1.15), z=z, yaw=heading, **{k: p[k] for k in looks})
    ahead, towards, across = (np.arange(5) < 2)[None], np.isin(np.arange(5), (2, 3))[None], (np.arange(5) == 4)[None]
    z = np.where(ahead, 8 + 26 * m["place"] ** 1.3 + 12 * (np.arange(5) == 1), 9 + 40 * m["place"])
    z = np.where(across, np.minimum(road.crossing, 60) + 4 * (m["turned"] > 0.5) - 2, z)
    x = np.where(across, 22 * (m["place"] - 0.5), road.centre(z) + np.where(ahead, 0.36, -0.36) * (road.half - road.park_left))
    heading = np.where(across, np.where(m["turned"] > 0.5, -np.pi / 2, np.pi / 2), road.turn(z) + np.where(towards, np.pi, 0))
    chance = np.where(across, 0.8 * np.isfinite(road.crossing), 0.12 + 0.55 * s.fact("traffic"))
    moving = kept(m["present"] < chance, x=x, z=z, yaw=heading, **{k: m[k] for k in looks})
    both = {name: np.concatenate([parked[name], moving[name]]) for name in parked}
    return both | {"driving": np.arange(len(both["x"])) >= len(parked["x"])}


def buses(s: Streets, road: Road) -> dict[str, np.ndarray]:
    """A bus ahead or coming towards us, in about one scene of six."""
    b = s.slots("bus")
    z = 15 + 26 * b["place"]
    lane = np.where(b["lane"] < 0.5, -1.0, 1.0)
    x = road.centre(z) + lane * (road.half * 0.42)
    yaw = road.turn(z) + np.where(lane < 0, np.pi, 0)
    return kept(b["present"] < 0.17, x=x, z=z, yaw=yaw, paint=b["paint"], tone=b["tone"], size=b["size"])


def people(s: Streets, road: Road) -> dict[str, np.ndarray]:
    """On the pavements; at a zebra crossing one or two on the road."""
    p = s.slots("person")
    side = np.where(p["turned"] < 0.5, -1.0, 1.0)
    z = 5.0 + 22 * p["place"] ** 1.8
    x = road.centre(z) + side * (road.half + 0.4 + p["across"] * (road.walk - 0.6))
    walks = (np.arange(9) < 2)[None] & (s.fact("zebra") < 0.6) & np.isfinite(road.crossing)
    z = np.where(walks, np.minimum(road.crossing, 60) - 6.5 + p["place"], z)
    x = np.where(walks, road.centre(z) + (2 * p["across"] - 1) * road.half, x)
    return kept(p["present"] < 0.08 + 0.55 * s.fact("crowd") ** 1.5, x=x, z=z, **{k: p[k] for k in SLOTS["person"][1][3:]})


def riders(s: Streets, road: Road) -> dict[str, np.ndarray]:
    """On a bicycle at the edge of the lanes, or across a crossing."""
    r = s.slots("rider")
    z = 5.5 + 13 * r["place"] ** 1.3
    edge = np.where(r["side"] < 0.3, -1.0, 1.0)
    x = road.centre(z) + edge * (road.half - 1.3 - 1.6 * np.where(edge < 0, road.park_left, road.park_right)) + 0.6 * r["across"]
    chance = np.array([0.14, 0.06])
    return kept(r["present"] < chance, x=x, z=z, **{k: r[k] for k in SLOTS["rider"][1][3:]})

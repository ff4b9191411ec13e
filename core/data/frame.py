"""A turned square in a photograph: cut out of it for a model, and put back after.

Coordinates are continuous: pixel (i, j) covers [i, i + 1) × [j, j + 1), x to the right and y down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

FEATHER = 0.12  # of the side: over this share from each edge the crop fades into the photograph
LARGEST_CUT = 4096  # pixels a side before the last, antialiased reduction
Affine = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Frame:
    """The square whose middle is `centre` and whose right edge's middle is `centre + half`, both (x, y) in pixels of the photograph."""

    centre: tuple[float, float]
    half: tuple[float, float]

    @property
    def side(self) -> float:
        """In pixels of the photograph."""
        return 2 * math.hypot(*self.half)

    @property
    def corners(self) -> list[tuple[float, float]]:
        """Upper left, upper right, lower right, lower left, as they stand in the cut."""
        (x, y), (u, v) = self.centre, self.half
        return [(x - u + v, y - v - u), (x + u + v, y + v - u), (x + u - v, y + v + u), (x - u - v, y - v + u)]

    def box(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of the smallest upright box of whole pixels around it; it may reach over the photograph's edge."""
        xs, ys = zip(*self.corners, strict=True)
        return math.floor(min(xs)), math.floor(min(ys)), math.ceil(max(xs)), math.ceil(max(ys))

    def to_cut(self, point: tuple[float, float]) -> tuple[float, float]:
        """Where a point of the photograph lies in the cut, as shares of its side: (0, 0) upper left, (1, 1) lower right."""
        (x, y), (u, v) = self.centre, self.half
        dx, dy = point[0] - x, point[1] - y
        length = u * u + v * v
        return ((dx * u + dy * v) / length + 1) / 2, ((dy * u - dx * v) / length + 1) / 2


def cut(photo: Image.Image, frame: Frame, size: int) -> Image.Image:
    """The square inside the frame, upright, `(size, size)`. Beyond the photograph's edge it is continued by reflection.

    A larger frame is first sampled finely and then reduced with Lanczos, so that nothing aliases.
    """
    left, top, right, bottom = frame.box()
    region = _reflected(np.asarray(photo.convert("RGB")), (left - 2, top - 2, right + 2, bottom + 2))  # 2: the bicubic kernel's reach
    fine = min(LARGEST_CUT, size * max(1, math.ceil(frame.side / size)))
    square = Image.fromarray(region).transform(
        (fine, fine), Image.Transform.AFFINE, _cut_to_photo(frame, fine, (left - 2, top - 2)), Image.Resampling.BICUBIC
    )
    return square if fine == size else square.resize((size, size), Image.Resampling.LANCZOS)


def paste_back(photo: Image.Image, edited: Image.Image, frame: Frame, feather: float = FEATHER) -> Image.Image:
    """The photograph with `edited`, a cut of this frame, in its place. Outside the frame every pixel is the photograph's own.

    feather: the share of the side over which the cut fades in, from nothing at its very edge.
    """
    left, top, right, bottom = frame.box()
    left, top, right, bottom = max(0, left), max(0, top), min(photo.width, right), min(photo.height, bottom)
    pasted = photo.convert("RGB").copy()
    if right <= left or bottom <= top:
        return pasted
    place = (left, top, right, bottom)
    side = max(2, min(round(frame.side), LARGEST_CUT))
    layer = edited.convert("RGB")
    if layer.width > side:  # the photograph shows the face smaller than the model does
        layer = layer.resize((side, side), Image.Resampling.LANCZOS)
    over = _warp(layer, frame, place, Image.Resampling.BICUBIC)
    weight = np.asarray(_warp(_feathered(min(side, 1024), feather), frame, place, Image.Resampling.BILINEAR), np.float32)[..., None] / 255
    under = np.asarray(pasted.crop(place), np.float32)
    mixed = np.rint(under + weight * (np.asarray(over, np.float32) - under)).astype(np.uint8)
    pasted.paste(Image.fromarray(mixed), (left, top))
    return pasted


def _feathered(side: int, feather: float) -> Image.Image:
    """Weights of a cut in 8 bits: 255 inside, down to 0 at the edge along half a cosine."""
    from_edge = np.minimum(np.arange(side), np.arange(side)[::-1]) / side  # 0 in the outermost pixel
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.clip(from_edge / max(feather, 1e-6), 0, 1))
    return Image.fromarray(np.rint(255 * np.outer(ramp, ramp)).astype(np.uint8))


def _warp(layer: Image.Image, frame: Frame, place: tuple[int, int, int, int], how: Image.Resampling) -> Image.Image:
    """A square picture of the frame as it lies in the box `place` of the photograph; black outside."""
    (x, y), (u, v) = frame.centre, frame.half
    scale = layer.width / (2 * (u * u + v * v))
    dx, dy, middle = place[0] - x, place[1] - y, layer.width / 2
    affine = (scale * u, scale * v, scale * (dx * u + dy * v) + middle, -scale * v, scale * u, scale * (dy * u - dx * v) + middle)
    return layer.transform((place[2] - place[0], place[3] - place[1]), Image.Transform.AFFINE, affine, how)


def _cut_to_photo(frame: Frame, size: int, origin: tuple[int, int]) -> Affine:
    """Pillow's six numbers that lead from a pixel of the cut to one of the photograph's region that begins at `origin`."""
    (u, v), (x, y) = frame.half, frame.corners[0]
    a, b = 2 * u / size, 2 * v / size
    return a, -b, x - origin[0], b, a, y - origin[1]


def _reflected(pixels: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The box (left, top, right, bottom) of an array `(H, W, 3)`, continued beyond its edges by reflection, as often as it takes."""
    left, top, right, bottom = box
    rows, columns = _bounce(np.arange(top, bottom), pixels.shape[0]), _bounce(np.arange(left, right), pixels.shape[1])
    return pixels[rows][:, columns]


def _bounce(index: np.ndarray, length: int) -> np.ndarray:
    """Indices of any size led back into 0 … length − 1, there and back again, the edge pixel seen twice."""
    inside = index % (2 * length)
    return np.where(inside < length, inside, 2 * length - 1 - inside)

"""Which polygon shows at which pixel: convex polygons painted one over the other, exactly at pixel centres, a whole batch in one sweep."""

from __future__ import annotations

import numpy as np


def paint(scene: np.ndarray, corners: np.ndarray, count: int, height: int, width: int) -> np.ndarray:
    """Index `(count, height, width)` of the last polygon that covers each pixel's centre, -1 where none does.

    scene `(P,)`: the picture each polygon belongs to; corners `(P, V, 2)`: x in [-1, 1] over the width and y in half widths, of convex
    polygons (fewer corners: repeat the last). They are painted in the order given.
    """
    pixel = 2 / width
    top = (corners[..., 1].min(1) + pixel * height / 2) / pixel - 0.5
    bottom = (corners[..., 1].max(1) + pixel * height / 2) / pixel - 0.5
    first = np.clip(np.ceil(top), 0, height).astype(np.int64)
    rows = np.clip(np.ceil(bottom).clip(0, height).astype(np.int64) - first, 0, None)
    which = np.repeat(np.arange(len(rows)), rows)
    row = _counting(rows) + first[which]
    left, right = _extent(corners[which], (row + 0.5) * pixel - pixel * height / 2)
    start = np.clip(np.ceil((left + 1) / pixel - 0.5), 0, width).astype(np.int64)
    length = np.clip(np.clip(np.ceil((right + 1) / pixel - 0.5), 0, width).astype(np.int64) - start, 0, None)
    base = (scene[which] * height + row) * width + start
    picture = np.full(count * height * width, -1, np.int64)
    picture[_counting(length) + np.repeat(base, length)] = np.repeat(which, length)  # of repeated places the last one stays
    return picture.reshape(count, height, width)


def _counting(lengths: np.ndarray) -> np.ndarray:
    """0, 1, … length - 1 for each length, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)


def _extent(corners: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the line at height y `(R,)` enters and leaves each convex polygon `(R, V, 2)`."""
    left, right = np.full(len(y), np.inf), np.full(len(y), -np.inf)
    above = corners[..., 1] <= y[:, None]
    for a in range(corners.shape[1]):
        b = (a + 1) % corners.shape[1]
        cut = np.nonzero(above[:, a] != above[:, b])[0]
        (xa, ya), (xb, yb) = corners[cut, a].T, corners[cut, b].T
        x = xa + (y[cut] - ya) / (yb - ya) * (xb - xa)
        left[cut], right[cut] = np.minimum(left[cut], x), np.maximum(right[cut], x)
    empty = left > right
    return np.where(empty, 0.0, left), np.where(empty, 0.0, right)

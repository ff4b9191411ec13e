"""From a face to the square that a base of faces was trained on, as CelebA-HQ and FFHQ cut it.

Karras et al., "Progressive Growing of GANs" (ICLR 2018), appendix C. With e0, e1 the eyes and m0, m1 the corners of the mouth,

    x' = e1 − e0        y' = (e0 + e1)/2 − (m0 + m1)/2        c = (e0 + e1)/2 − 0.1 y'
    s  = max(4.0 |x'|, 3.6 |y'|)        x = (x' − rot90(y')) normalised

the square has the middle c, the side s and the horizontal axis x. There the points come from 68 landmarks; here from MTCNN's five.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from core.data.frame import Frame, cut
from core.data.images import to_tensor
from core.models.faces import Face, detect

FACE_DOMAINS = ("face", "celeba", "ffhq")  # words in a card's domain that stand for photographs of faces, aligned


def takes_aligned_faces(base: Any) -> bool:
    """Whether a base was trained on aligned photographs of faces. The drawn portraits are not: their pictures are taken whole."""
    domain = getattr(base, "domain", "").lower()
    return any(word in domain for word in FACE_DOMAINS)


def frame_of(face: Face) -> Frame | None:
    """The square around a face in its picture, or None where the face has no landmarks or they fall together."""
    if len(face.landmarks) != 5:
        return None
    (ax, ay), (bx, by), _, (cx, cy), (dx, dy) = face.landmarks
    eyes = (bx - ax, by - ay)  # x'
    middle = ((ax + bx) / 2, (ay + by) / 2)
    down = ((cx + dx) / 2 - middle[0], (cy + dy) / 2 - middle[1])  # −y'
    axis = (eyes[0] + down[1], eyes[1] - down[0])  # x' − rot90(y'): the eyes' line and the mouth's, averaged
    length, side = math.hypot(*axis), max(4.0 * math.hypot(*eyes), 3.6 * math.hypot(*down))
    if length < 1e-6 or side < 1.0:
        return None
    half = (axis[0] / length * side / 2, axis[1] / length * side / 2)
    return Frame((middle[0] + 0.1 * down[0], middle[1] + 0.1 * down[1]), half)


def frames(image: Image.Image) -> list[Frame]:
    """The squares of all faces found in an upright picture, the most certain first; empty where there is none."""
    found = (frame_of(face) for face in detect(image))
    return [frame for frame in found if frame is not None]


def as_seen(image: Image.Image, frame: Frame | None, size: int) -> Tensor:
    """What a model sees of a picture, `(1, 3, size, size)` in [-1, 1]: the frame, or without one the greatest centred square."""
    return to_tensor([cut(image, frame, size) if frame else image], size)


def as_seen_by(base: Any, images: list[Image.Image]) -> Tensor:
    """Pictures for a base, `(B, 3, size, size)` in [-1, 1]: each one's most certain face where the base takes faces and there is one."""
    chosen = [next(iter(frames(image)), None) if takes_aligned_faces(base) else None for image in images]
    return torch.cat([as_seen(image, frame, base.image_size) for image, frame in zip(images, chosen, strict=True)])

"""Faces in photographs: MTCNN (Zhang et al. 2016) as facenet-pytorch ships it, weights included, loaded when first asked for.

It was trained on photographs. Drawn portraits mostly give no face, which is an answer and no error.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageOps

if TYPE_CHECKING:
    from facenet_pytorch import MTCNN

LEAST_CONFIDENCE = 0.9
LEAST_FACE = 40  # pixels of the enlarged or reduced picture
SEARCH_SIDE = 512  # pixels: small pictures are enlarged to it and large ones reduced, so that time and least face are the same for all
_one_at_a_time = threading.Lock()  # a network on two cores gains nothing from a second caller


@dataclass(frozen=True)
class Face:
    """box: (left, top, right, bottom) in pixels of the picture, inside it; confidence in [0, 1].

    landmarks: (x, y) in pixels of both eyes, the tip of the nose and both corners of the mouth, the one on the picture's left first.
    """

    box: tuple[int, int, int, int]
    confidence: float
    landmarks: tuple[tuple[float, float], ...] = ()


@cache
def _detector() -> MTCNN:
    from facenet_pytorch import MTCNN  # here, for it takes a second that a page without uploads need not wait

    return MTCNN(keep_all=True, device="cpu", min_face_size=LEAST_FACE).eval()


def detect(image: Image.Image) -> list[Face]:
    """The faces in an upright RGB picture, the most certain first; an empty list where there is none."""
    scale = SEARCH_SIDE / max(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    if min(size) < LEAST_FACE:
        return []  # a ribbon, in which MTCNN has no scale to search
    with _one_at_a_time:
        enlarged = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
        boxes, confidences, points = _detector().detect(enlarged, landmarks=True)
    if boxes is None:
        return []
    width, height = image.size
    found = []
    for corners, confidence, five in zip(boxes, confidences, points, strict=True):
        left, top, right, bottom = (round(edge / scale) for edge in corners.tolist())
        box = (max(0, left), max(0, top), min(width, right), min(height, bottom))
        if confidence >= LEAST_CONFIDENCE and box[2] > box[0] and box[3] > box[1]:
            found.append(Face(box, float(confidence), tuple((x / scale, y / scale) for x, y in five.tolist())))
    return sorted(found, key=lambda face: -face.confidence)


def said(faces: list[Face]) -> str:
    """What a person reads: the count with the best confidence, or that there is none."""
    if not faces:
        return "drawn portrait or no face found"
    return f"{len(faces)} {'face' if len(faces) == 1 else 'faces'} ({faces[0].confidence:.0%})"


def with_boxes(image: Image.Image, faces: list[Face], side: int = 512) -> Image.Image:
    """A copy enlarged or reduced to `side` with the boxes drawn in; without faces it is only the copy."""
    copy = ImageOps.contain(image, (side, side), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(copy)
    scale = copy.width / image.width
    for face in faces:
        box = [round(edge * scale) for edge in face.box]
        draw.rectangle(box, outline="black", width=5)
        draw.rectangle([box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1], outline="#2dd4bf", width=3)
    return copy

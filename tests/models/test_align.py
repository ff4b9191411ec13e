"""Faces come to the frame of CelebA-HQ, from any kind of file; without a face the picture is taken whole."""

from __future__ import annotations

import io
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from core.data.frame import cut, paste_back
from core.data.images import decode_image, to_tensor
from core.models import align, faces
from core.models.align import as_seen, as_seen_by, frame_of, frames, takes_aligned_faces
from core.models.faces import Face

ASTRONAUT = Path(__file__).parents[1] / "data_files" / "astronaut.jpg"
UPRIGHT = ((90.0, 100.0), (130.0, 100.0), (110.0, 120.0), (95.0, 140.0), (125.0, 140.0))


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return decode_image(ASTRONAUT)


@pytest.fixture(scope="module")
def face(photo) -> Face:
    found = faces.detect(photo)
    assert len(found) == 1 and found[0].confidence > 0.99
    return found[0]


def test_the_square_is_that_of_the_paper():
    frame = frame_of(Face((80, 80, 140, 160), 1.0, UPRIGHT))
    assert frame.centre == (110.0, 104.0) and frame.side == 160.0  # 4·40 against 3.6·40
    assert frame.to_cut(UPRIGHT[0]) == pytest.approx((0.375, 0.475))
    assert frame_of(Face((0, 0, 9, 9), 1.0)) is None
    assert frame_of(Face((0, 0, 9, 9), 1.0, ((4.0, 4.0),) * 5)) is None


@pytest.mark.parametrize("degrees", [-70, 0, 25, 160])
def test_a_turned_face_stands_upright_in_its_cut(degrees):
    turn = complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    turned = [complex(x, y) * turn for x, y in UPRIGHT]
    frame = frame_of(Face((0, 0, 9, 9), 1.0, tuple((point.real, point.imag) for point in turned)))
    assert frame.to_cut((turned[0].real, turned[0].imag)) == pytest.approx((0.375, 0.475))
    assert frame.to_cut((turned[4].real, turned[4].imag)) == pytest.approx((0.59375, 0.725))


def test_the_eyes_of_a_photograph_are_level_and_in_place(photo, face):
    square = cut(photo, frame_of(face), 256)
    again = faces.detect(square)[0]
    left, right = again.landmarks[:2]
    assert abs(left[1] - right[1]) < 0.03 * 256
    assert left[0] / 256 == pytest.approx(0.38, abs=0.04) and right[0] / 256 == pytest.approx(0.62, abs=0.04)
    assert left[1] / 256 == pytest.approx(0.47, abs=0.04)


def test_the_unedited_face_goes_back_unseen(photo, face):
    frame = frame_of(face)
    before, after = (np.asarray(image, float) for image in (photo, paste_back(photo, cut(photo, frame, 256), frame)))
    x, y = np.meshgrid(np.arange(256) + 0.5, np.arange(256) + 0.5)
    a, b = frame.to_cut((x, y))
    within = (a > 0) & (a < 1) & (b > 0) & (b < 1)
    assert np.array_equal(after[~within], before[~within])
    assert 10 * np.log10(255**2 / np.mean((after - before)[within] ** 2)) > 35


def encoded(photo: Image.Image, kind: str) -> bytes:
    """The photograph as people's files come."""
    buffer = io.BytesIO()
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        photo.transpose(Image.Transpose.ROTATE_90).save(buffer, "JPEG", exif=exif)
    elif kind == "deep grey":
        Image.fromarray(np.asarray(photo.convert("L"), np.uint16) * 257).save(buffer, "PNG")
    else:
        photo.convert(kind).save(buffer, "TIFF" if kind == "CMYK" else "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["turned", "L", "RGBA", "CMYK", "deep grey"])
def test_any_kind_of_file_gives_the_same_face(photo, face, kind):
    found = frames(decode_image(encoded(photo, kind)))
    assert len(found) == 1
    assert found[0].centre == pytest.approx(frame_of(face).centre, abs=3)


def test_which_bases_take_faces():
    assert all(takes_aligned_faces(SimpleNamespace(domain=domain)) for domain in ("face", "CelebA-HQ", "celebahq", "ffhq faces"))
    assert not any(takes_aligned_faces(SimpleNamespace(domain=domain)) for domain in ("", "photo", "church", "bedroom"))


def test_a_picture_for_a_base(photo, face, monkeypatch):
    drawn = Image.new("RGB", (64, 48), "teal")
    monkeypatch.setattr(align, "detect", lambda image: [face] if image is photo else [])
    portraits, celeba = SimpleNamespace(domain="photo", image_size=32), SimpleNamespace(domain="celebahq", image_size=32)
    assert torch.equal(as_seen_by(portraits, [photo, drawn]), to_tensor([photo, drawn], 32))
    seen = as_seen_by(celeba, [photo, drawn])
    assert torch.equal(seen[:1], as_seen(photo, frame_of(face), 32)) and not torch.equal(seen[:1], to_tensor([photo], 32))
    assert torch.equal(seen[1:], to_tensor([drawn], 32))

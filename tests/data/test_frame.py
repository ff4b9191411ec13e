"""A square out of a photograph and back into it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from core.data.frame import Frame, cut, paste_back


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(4))


def inside(photo: Image.Image, frame: Frame) -> np.ndarray:
    x, y = np.meshgrid(np.arange(photo.width) + 0.5, np.arange(photo.height) + 0.5)
    a, b = frame.to_cut((x, y))
    return (a > 0) & (a < 1) & (b > 0) & (b < 1)


def test_an_upright_frame_is_a_crop(photo):
    assert np.array_equal(cut(photo, Frame((80, 70), (32, 0)), 64), photo.crop((48, 38, 112, 102)))


def test_a_frame_turned_by_a_quarter_is_a_turned_crop(photo):
    turned = cut(photo, Frame((80, 70), (0, 32)), 64)
    assert np.array_equal(turned, photo.crop((48, 38, 112, 102)).transpose(Image.Transpose.ROTATE_90))


def test_corners_lead_to_the_cut_s_corners():
    frame = Frame((50.0, 40.0), (12.0, 5.0))
    places = [frame.to_cut(corner) for corner in frame.corners]
    assert np.allclose(places, [(0, 0), (1, 0), (1, 1), (0, 1)])
    assert frame.side == 26


def test_beyond_the_edge_it_reflects(photo):
    square = np.asarray(cut(photo, Frame((0, 70), (32, 0)), 64))
    assert np.array_equal(square[:, :32], square[:, :31:-1])
    assert cut(photo, Frame((-900, 70), (32, 0)), 64).size == (64, 64)


def test_a_large_frame_does_not_alias():
    board = Image.fromarray(np.indices((256, 256)).sum(0).astype(np.uint8) % 2 * 255).convert("RGB")
    assert np.ptp(np.asarray(cut(board, Frame((128, 128), (110, 20)), 32))[4:-4, 4:-4].astype(int)) < 30


@pytest.mark.parametrize("size", [96, 200])
@pytest.mark.parametrize("frame", [Frame((100, 75), (40, 9)), Frame((20, 140), (-30, 25))])
def test_an_unedited_cut_changes_nothing_to_be_seen(photo, frame, size):
    pasted = np.asarray(paste_back(photo, cut(photo, frame, size), frame), float)
    within, before = inside(photo, frame), np.asarray(photo, float)
    assert np.array_equal(pasted[~within], before[~within])
    assert 10 * np.log10(255**2 / np.mean((pasted - before)[within] ** 2)) > 38


def test_an_edited_cut_fades_out(photo):
    frame = Frame((100, 75), (40, 9))
    pasted = np.asarray(paste_back(photo, Image.new("RGB", (64, 64), "white"), frame), int)
    within = inside(photo, frame)
    assert tuple(pasted[75, 100]) == (255, 255, 255)
    assert np.array_equal(pasted[~within], np.asarray(photo)[~within])
    steps = np.abs(np.diff(pasted[75] - np.asarray(photo, int)[75], axis=0)).max()
    assert steps < 60  # no seam: from nothing to all of it over a dozen pixels


def test_a_frame_outside_the_photograph_changes_nothing(photo):
    assert np.array_equal(paste_back(photo, Image.new("RGB", (8, 8)), Frame((900, 900), (9, 0))), photo)

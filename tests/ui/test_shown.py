import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ui.shown import shown_file


@pytest.fixture
def picture() -> Image.Image:
    row = np.linspace(0, 255, 32, dtype=np.uint8)
    return Image.fromarray(np.stack(np.broadcast_arrays(row[:, None], row, 255 - row), axis=-1))


def test_the_file_shows_the_picture_enlarged(tmp_path, picture):
    with Image.open(shown_file(picture, 64, tmp_path)) as shown:
        assert shown.size == (64, 64)
        off = np.abs(np.asarray(shown, float) - np.asarray(picture.resize((64, 64), Image.Resampling.BICUBIC), float))
    assert off.mean() < 2  # of 255: a JPEG is not exact


def test_a_picture_is_written_once_and_another_or_another_size_is_another_file(tmp_path, picture):
    first = Path(shown_file(picture, 64, tmp_path))
    written = first.stat().st_ino
    os.utime(first, (0, 0))
    assert shown_file(picture.copy(), 64, tmp_path) == str(first)
    assert first.stat().st_ino == written
    assert first.stat().st_mtime > 0, "handed out again, it is as young as a new one: Gradio deletes by age"
    assert shown_file(picture, 48, tmp_path) != str(first)
    assert shown_file(picture.rotate(90), 64, tmp_path) != str(first)
    assert len(list(first.parent.iterdir())) == 3  # nothing unfinished stays


def test_a_file_that_was_cleared_away_is_written_again(tmp_path, picture):
    path = Path(shown_file(picture, 64, tmp_path))
    path.unlink()
    assert Path(shown_file(picture, 64, tmp_path)).is_file()


def test_pictures_with_the_same_bytes_in_another_shape_differ(tmp_path):
    bytes_ = bytes(range(96))
    wide, tall = (Image.frombytes("RGB", size, bytes_) for size in ((8, 4), (4, 8)))
    assert shown_file(wide, 16, tmp_path) != shown_file(tall, 16, tmp_path)

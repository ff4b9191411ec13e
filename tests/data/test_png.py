"""A request survives the way through a PNG, and hostile metadata is no request."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from core.data import png
from core.types import ShiftlabError

REQUEST = {"method": "diffusionclip", "settings": {"return_step": 401, "target_prompt": "ein Öl – gemälde 油画"}, "seed": 7}


def with_text(text: str, name: str = png.CHUNK, compressed: bool = False) -> bytes:
    info = PngInfo()
    info.add_text(name, text, zip=compressed)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def test_round_trip(tmp_path):
    path = png.write_png(tmp_path / "deep" / "picture.png", Image.new("RGB", (8, 8), "red"), REQUEST)
    assert png.read_request(path) == REQUEST
    assert png.read_request(path.read_bytes()) == REQUEST
    assert [entry.name for entry in path.parent.iterdir()] == ["picture.png"]
    assert Image.open(path).getpixel((1, 1)) == (255, 0, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a png",
        with_text("{}", name="other"),
        with_text("no json"),
        with_text("[1, 2]"),
        with_text('"text"'),
        with_text('{"strength": NaN}'),
        with_text("[" * 60_000),
        with_text('{"a": ' + "9" * 5000 + "}"),
        with_text('{"a": "' + "x" * 100_000 + '"}'),
        with_text("x" * 3_000_000, compressed=True),
    ],
)
def test_hostile_metadata_is_no_request(data):
    assert png.read_request(data) is None


def test_a_missing_file_is_no_request(tmp_path):
    assert png.read_request(tmp_path / "gone.png") is None


def test_a_request_that_is_too_long_says_so():
    with pytest.raises(ShiftlabError, match="too long"):
        png.png_bytes(Image.new("RGB", (8, 8)), {"prompt": "x" * 70_000})

"""Everything that people upload: it becomes an upright RGB picture without metadata, or one sentence."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from core.data import images, pictures
from core.types import ShiftlabError


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def corner_picture() -> Image.Image:
    """32 × 24, blue, with a red top left quarter: tells every orientation apart."""
    image = Image.new("RGB", (32, 24), "blue")
    image.paste((255, 0, 0), (0, 0, 16, 12))
    return image


def png_header(width: int, height: int) -> bytes:
    """A valid PNG whose header promises width × height pixels and whose data ends at once."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    exif = Image.Exif()
    exif[images.ORIENTATION] = orientation
    upright = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
               5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90}
    expected = corner_picture() if orientation == 1 else corner_picture().transpose(upright[orientation])
    picture, facts = images.read_image(encoded(corner_picture(), exif=exif))
    assert facts.turned == (orientation != 1)
    assert (facts.width, facts.height) == expected.size
    assert np.array_equal(np.asarray(picture), np.asarray(expected))


def test_metadata_is_stripped():
    exif = Image.Exif()
    exif[0x010E] = "at home"
    exif.get_ifd(0x8825)[1] = "N"
    picture = images.decode_image(encoded(corner_picture(), "JPEG", exif=exif, comment=b"secret"))
    assert picture.info == {} and len(picture.getexif()) == 0


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_broken_exif_block_counts_as_upright():
    data = encoded(corner_picture(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\xff" * 40)
    assert images.read_image(data)[1].turned is False


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_every_mode_becomes_rgb(mode):
    picture, facts = images.read_image(encoded(corner_picture().convert(mode)))
    assert picture.mode == "RGB" and facts.mode == mode


def test_transparency_lies_on_white():
    clear = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    assert images.decode_image(encoded(clear)).getpixel((3, 3)) == (255, 255, 255)
    palette = Image.new("P", (16, 16), 0)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    assert images.decode_image(encoded(palette, transparency=0)).getpixel((3, 3)) == (255, 255, 255)


def test_sixteen_bits_keep_their_brightness():
    values = np.linspace(0, 65535, 16 * 16).reshape(16, 16)
    picture = images.decode_image(encoded(Image.fromarray(values.astype(np.uint16))))
    assert np.abs(np.asarray(picture)[..., 0] - values / 257).max() <= 0.5


def test_a_float_tiff_from_zero_to_one():
    values = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    picture, facts = images.read_image(encoded(Image.fromarray(values), "TIFF"))
    assert facts.mode == "F" and np.asarray(picture)[..., 0].max() == 255


def test_print_colours():
    picture, facts = images.read_image(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95))
    red, green, blue = picture.getpixel((8, 8))
    assert red > 200 and green < 60 and blue < 60 and "print colours" in facts.note


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "green", "blue")]
    picture, facts = images.read_image(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert picture.getpixel((5, 5)) == (255, 0, 0)
    assert facts.frames == 3 and "first of 3 frames" in facts.note


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"hello, this is a text", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\x89PNG\r\n\x1a\n" + b"\xff" * 30, "damaged"),
        (encoded(corner_picture(), "JPEG")[:300], "damaged"),
        (encoded(corner_picture())[:70], "damaged"),
        (encoded(Image.new("RGB", (3, 300))), "only 3 × 300"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(data, words):
    with pytest.raises(ShiftlabError, match=words) as refused:
        images.decode_image(data)
    assert str(refused.value).count("\n") == 0


@pytest.mark.parametrize(("side", "words"), [(10_000, r"10000 × 10000 pixels \(100 megapixels\).* 40 megapixels"), (60_000, "40")])
def test_a_bomb_is_refused_by_its_header(side, words):
    with pytest.raises(ShiftlabError, match=words):
        images.decode_image(png_header(side, side))


def test_a_damaged_file_at_every_byte_is_a_picture_or_a_sentence():
    whole = encoded(corner_picture(), "JPEG")
    for place in range(0, len(whole), 7):
        broken = whole[:place] + b"\xff\x00\xd8"[: 1 + place % 3] + whole[place + 2 :]
        try:
            assert images.decode_image(broken).mode == "RGB"
        except ShiftlabError as sentence:
            assert str(sentence)


def test_a_path_that_is_gone(tmp_path):
    with pytest.raises(ShiftlabError, match="not there"):
        images.decode_image(tmp_path / "gone.png")


def test_to_tensor_crops_the_centre_and_comes_back():
    wide = Image.new("RGB", (48, 16), "black")
    wide.paste((255, 255, 255), (16, 0, 32, 16))
    batch = images.to_tensor([wide, corner_picture()], 16)
    assert batch.shape == (2, 3, 16, 16) and batch.dtype == torch.float32
    assert torch.equal(batch[0], torch.ones(3, 16, 16))
    assert batch.min() >= -1 and batch.max() <= 1
    assert torch.equal(images.to_tensor(images.to_pils(batch), 16), batch)  # 8 bits lose nothing that 8 bits gave
    with pytest.raises(ShiftlabError, match="no image"):
        images.to_tensor([], 16)


def test_image_hash_names_content():
    one = torch.linspace(-1, 1, 3 * 4 * 4).reshape(3, 4, 4)
    other = one.clone()
    other[0, 0, 0] += 1e-4
    assert images.image_hash(one) == images.image_hash(one[None]) != images.image_hash(other)
    assert len(images.image_hash(one)) == 16


def test_pictures_for_looking():
    before = corner_picture()
    assert pictures.difference(before, before).getextrema() == ((0, 0),) * 3
    after = before.point(lambda value: min(255, value + 20))
    assert pictures.difference(before, after).getpixel((0, 0))[0] > 30
    row = pictures.side_by_side([before, before.resize((64, 48))], gap=4)
    assert row.size == (64 + 4 + 64, 48)
    assert pictures.enlarge(before, 128).size == (128, 96)
    assert pictures.fit_within(before, 16).size == (16, 12)

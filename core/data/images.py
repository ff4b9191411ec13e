"""Bytes that people upload become upright RGB pictures here, and pictures become tensors; nothing else in the house opens an image.

Invariants: a picture that leaves this file is mode RGB, turned as its EXIF says, at most `MAX_PIXELS` large, and carries no metadata
(no EXIF, no GPS position, no profile). Whatever cannot become one is a `ShiftlabError` that says why in one sentence.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from core.types import ShiftlabError

MAX_PIXELS = 40_000_000  # 40 MP: above every phone's default, 120 MB once decoded
MAX_BYTES = 64 * 1024 * 1024
MIN_SIDE = 8  # pixels; below that there is nothing to see
# A closed list: Pillow also opens formats that start other programs (EPS) or that nobody uploads.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
KNOWN = "JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF"
ORIENTATION = 0x0112  # the EXIF tag; 1 means upright
DAMAGED = "This image is damaged or cut off. Save it again as PNG or JPEG, or upload it once more."
TRANSPARENT = ("RGBA", "LA", "PA", "RGBa", "La")


@dataclass(frozen=True)
class ImageFacts:
    """What was understood of an upload. width and height are those of the upright picture, in pixels; mode is the file's own."""

    format: str
    width: int
    height: int
    mode: str
    turned: bool
    frames: int
    note: str = ""


def decode_image(source: bytes | Path | str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The upright RGB picture in `source`; raises ShiftlabError for what is empty, unknown, broken or too large."""
    return read_image(source, max_pixels)[0]


def image_facts(source: bytes | Path | str, max_pixels: int = MAX_PIXELS) -> ImageFacts:
    """What the file says of itself, with the same refusals as `decode_image`."""
    return read_image(source, max_pixels)[1]


def read_image(source: bytes | Path | str, max_pixels: int = MAX_PIXELS) -> tuple[Image.Image, ImageFacts]:
    """Picture and facts in one decoding. The size is checked by the header, before a single pixel is decoded."""
    image = raw_image(source, max_pixels)
    try:
        frames = int(getattr(image, "n_frames", 1))
        mode = image.mode
        turned = _orientation(image) != 1
        upright = ImageOps.exif_transpose(image) if turned else image
        picture = _rgb(upright)
    except Exception as error:  # broken bytes lead Pillow's decoders to almost any exception; each is the same sentence
        raise ShiftlabError(DAMAGED) from error
    clean = Image.frombytes("RGB", picture.size, picture.tobytes())  # a fresh image: no EXIF, no GPS, no profile
    note = _note(image, mode, turned, frames)
    return clean, ImageFacts(image.format or "", clean.width, clean.height, mode, turned, frames, note)


def raw_image(source: bytes | Path | str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The first frame as its file has it, decoded: own mode, palette, orientation. For masks, whose values are no colours."""
    image = _open(_bytes(source))
    _check_size(image, max_pixels)
    try:
        image.seek(0)
        image.load()
    except Exception as error:  # as in read_image
        raise ShiftlabError(DAMAGED) from error
    return image


def _bytes(source: bytes | Path | str) -> bytes:
    if isinstance(source, bytes):
        data = source
    else:
        path = Path(source)
        if not path.is_file():
            raise ShiftlabError("This file is not there any more. Upload it again.")
        if path.stat().st_size > MAX_BYTES:
            raise ShiftlabError(_too_heavy(path.stat().st_size))
        data = path.read_bytes()
    if not data:
        raise ShiftlabError("This file is empty. Upload it again, or choose another one.")
    if len(data) > MAX_BYTES:
        raise ShiftlabError(_too_heavy(len(data)))
    return data


def _too_heavy(size: int) -> str:
    return f"This file has {size / 2**20:.0f} MB, and the limit is {MAX_BYTES // 2**20} MB. Save a smaller version of the image."


def _open(data: bytes) -> Image.Image:
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # _check_size refuses those, in words
            return Image.open(io.BytesIO(data), formats=formats)
    except Image.DecompressionBombError as error:
        refused = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise ShiftlabError(
            f"This image has more than {refused:.0f} megapixels, and the limit is {MAX_PIXELS / 1e6:.0f}. Scale it down first."
        ) from error
    except Exception as error:  # as in read_image: hostile headers raise anything
        raise ShiftlabError(_unknown(data)) from error


def _unknown(data: bytes) -> str:
    """Why these bytes are no picture that we open, judged by their first bytes."""
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
        return "This is a HEIC photo, which cannot be read here. On the phone choose the format “Most compatible”, or save it as JPEG."
    if data[:8] == b"\x89PNG\r\n\x1a\n" or data[:2] == b"\xff\xd8":
        return "This image is damaged: its beginning cannot be read. Save it again as PNG or JPEG, or upload it once more."
    return f"This file is not an image that can be read here. Use {KNOWN}."


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ShiftlabError(
            f"This image has {width} × {height} pixels ({width * height / 1e6:.0f} megapixels), and the limit is "
            f"{max_pixels / 1e6:.0f} megapixels. Scale it down first."
        )
    if min(width, height) < MIN_SIDE:
        raise ShiftlabError(f"This image has only {width} × {height} pixels. Use one of at least {MIN_SIDE} × {MIN_SIDE}.")


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1 … 8; damaged EXIF counts as upright, for the picture itself may be whole."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # the EXIF parser raises anything on broken tags, and 1 is then the honest reading
        return 1
    return value if value in range(1, 9) else 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in TRANSPARENT or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _deep_grey(image)
    return image.convert("RGB")


def _deep_grey(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float grey to 8 bits: by the format's own range where the values fit one, else from least to greatest."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    low, high = float(values.min()), float(values.max())
    if image.mode == "F" and low >= 0 and high <= 1:
        scaled = values * 255
    elif low >= 0 and high <= 255 and not image.mode.startswith("I;16"):
        scaled = values
    elif low >= 0 and high <= 65535:
        scaled = values / 257  # 65535 / 257 = 255
    else:
        scaled = (values - low) / max(high - low, 1e-12) * 255
    return Image.fromarray(np.rint(scaled).astype(np.uint8)).convert("RGB")


def _note(image: Image.Image, mode: str, turned: bool, frames: int) -> str:
    notes = []
    if turned:
        notes.append("turned upright as its EXIF says")
    if frames > 1:
        notes.append(f"first of {frames} frames")
    if mode in TRANSPARENT or "transparency" in image.info:
        notes.append("transparency on white")
    if mode in ("I", "F") or mode.startswith("I;16"):
        notes.append("deep grey brought to 8 bits")
    elif mode == "CMYK":
        notes.append("print colours converted")
    return ", ".join(notes)


def to_tensor(images: list[Image.Image], size: int) -> Tensor:
    """The greatest centred square of each picture, resized (Lanczos) to `size`: `(B, 3, size, size)` float32 in [-1, 1]."""
    if not images:
        raise ShiftlabError("There is no image. Upload one, or choose an example.")
    squares = [ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.LANCZOS) for image in images]
    pixels = torch.from_numpy(np.stack([np.asarray(square) for square in squares]))  # (B, H, W, 3) uint8
    return pixels.permute(0, 3, 1, 2).to(torch.float32).div(127.5).sub(1.0).contiguous()


def whole_tensor(image: Image.Image) -> Tensor:
    """A picture as it is, whatever its sides: `(3, H, W)` float32 in [-1, 1]."""
    pixels = torch.from_numpy(np.array(image.convert("RGB")))  # (H, W, 3) uint8
    return pixels.permute(2, 0, 1).to(torch.float32).div(127.5).sub(1.0).contiguous()


def to_mask(image: Image.Image, size: int) -> Tensor:
    """A black and white picture → `(1, 1, size, size)` float32 in [0, 1], 1 where it is white."""
    return (to_tensor([image.convert("RGB")], size)[:, :1] + 1.0) / 2.0


def to_pil(image: Tensor) -> Image.Image:
    """One tensor `(3, H, W)` or `(1, 3, H, W)` in [-1, 1] (clamped) as an RGB picture."""
    if image.dim() == 4 and image.shape[0] == 1:
        image = image[0]
    pixels = image.detach().to("cpu", torch.float32).clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def to_pils(images: Tensor) -> list[Image.Image]:
    """A batch `(B, 3, H, W)` in [-1, 1] as RGB pictures."""
    return [to_pil(image) for image in images]


def image_hash(image: Tensor) -> str:
    """16 hex characters that name the content of one image `(3, H, W)` or `(1, 3, H, W)`: its shape and its float32 values."""
    if image.dim() == 4 and image.shape[0] == 1:
        image = image[0]
    values = image.detach().to("cpu", torch.float32).contiguous()
    digest = hashlib.sha256(repr(tuple(values.shape)).encode())
    digest.update(values.numpy().tobytes())
    return digest.hexdigest()[:16]

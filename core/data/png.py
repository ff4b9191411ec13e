"""A PNG that carries the request that made it, and the way back from such a PNG to the request.

The request is JSON in a text chunk named "shiftlab". What is read back is only data: whoever uses it validates it with the settings class.
"""

from __future__ import annotations

import io
import json
import os
import uuid
import warnings
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from core.types import ShiftlabError

CHUNK = "shiftlab"
MAX_REQUEST = 64 * 1024  # characters of JSON; a request has about one thousand


def png_bytes(image: Image.Image, request: dict[str, Any]) -> bytes:
    """The PNG file's bytes. The request must be plain JSON data (no NaN), as `Settings.model_dump(mode="json")` gives."""
    text = json.dumps(request, allow_nan=False, sort_keys=True)  # ASCII by default, so that a plain tEXt chunk holds it
    if len(text) > MAX_REQUEST:
        raise ShiftlabError("This request is too long to be kept in a PNG. Use shorter prompts or fewer edits.")
    info = PngInfo()
    info.add_text(CHUNK, text)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def write_png(path: Path | str, image: Image.Image, request: dict[str, Any]) -> Path:
    """Writes the PNG to a temporary name beside `path` and moves it into place; returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    temporary.write_bytes(png_bytes(image, request))
    os.replace(temporary, path)
    return path


def read_request(source: Path | str | bytes) -> dict[str, Any] | None:
    """The request inside a PNG of ours, or None for every other file.

    Only the chunks before the pixels are read, so a bomb costs nothing; text that is huge, broken, no JSON or no object is no request.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else Path(source), formats=["PNG"]) as image:
                text = image.info.get(CHUNK)
    except Exception:  # any file may be dropped here; one that Pillow cannot open simply has no request
        return None
    if not isinstance(text, str) or len(text) > MAX_REQUEST:
        return None
    try:
        request = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return request if isinstance(request, dict) else None


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")

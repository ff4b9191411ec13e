"""Pictures as the page shows them: JPEG files, each written once. Whoever wants the pixels themselves downloads the PNG."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path

from PIL import Image

from core.data.pictures import enlarge

QUALITY = 92  # with colours at full resolution; a PNG of the same size takes over ten times as long to write


def shown_file(picture: Image.Image, side: int, cache: str | Path) -> str:
    """The file, in Gradio's cache, of a picture enlarged to at least `side` pixels. The same picture again is the same file."""
    path = Path(cache) / "shown" / f"{_digest(picture)}-{side}.jpg"
    try:
        os.utime(path)  # Gradio clears away what nobody has used for a day
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        enlarge(picture, side).convert("RGB").save(unfinished, "JPEG", quality=QUALITY, subsampling=0)
        os.replace(unfinished, path)
    return str(path)


def _digest(picture: Image.Image) -> str:
    return hashlib.sha256(repr((picture.mode, picture.size)).encode() + picture.tobytes()).hexdigest()[:32]

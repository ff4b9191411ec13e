"""Writing segmentation sets in the layout that `segmented` reads: images/<split>/, masks/<split>/ and classes.json.

A mask is an indexed PNG whose values are the class numbers and whose palette has the classes' colours, so it can be looked at as it is.
"""

from __future__ import annotations

import io
import json
import os
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from core.data.mask_classes import CLASSES_FILE, MaskClasses
from core.data.segmented import SegmentedSet
from core.data.text_files import write_text


class Scene(NamedTuple):
    """name: what image and mask are called, without suffix; mask `(H, W)` uint8 class numbers, None where there is none."""

    name: str
    image: Image.Image
    mask: np.ndarray | None = None
    split: str = ""


def write_segmented(folder: Path, scenes: Iterable[Scene], classes: MaskClasses) -> Iterator[int]:
    """Writes scene by scene, yielding how many are there; what is there already is left as it is, and classes.json comes last."""
    for place, scene in enumerate(scenes, start=1):
        for name, image in _pictures(scene, classes):
            if not (folder / name).is_file():
                _write(folder / name, _png(image))
        yield place
    write_text(folder / CLASSES_FILE, _classes(classes))


def is_written(folder: Path, name: str, split: str) -> bool:
    """Whether `write_segmented` has written a labelled scene there: its mask comes after its image."""
    return (folder / _place("masks", name, split)).is_file()


def write_segmented_zip(path: Path, scenes: Iterable[Scene], classes: MaskClasses) -> Path:
    """The same as one ZIP, which appears whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as file:  # PNGs are compressed already
        for scene in scenes:
            for name, image in _pictures(scene, classes):
                file.writestr(name, _png(image))
        file.writestr(CLASSES_FILE, _classes(classes))
    os.replace(temporary, path)
    return path


def scenes_of(found: SegmentedSet) -> Iterator[Scene]:
    """A set's images one by one, for writing it anew; their names keep the folders that they lay in."""
    for place, item in enumerate(found.items):
        mask = found.mask(item) if item.mask else None
        yield Scene(f"{place:06d}_{Path(item.name).stem}", found.picture(item), mask, item.split)


def indexed_mask(mask: np.ndarray, classes: MaskClasses) -> Image.Image:
    """Class numbers `(H, W)` uint8 as an indexed picture in the classes' colours; what is no class is black."""
    image = Image.fromarray(np.ascontiguousarray(mask))
    colours = np.zeros((256, 3), dtype=np.uint8)
    for name, number in classes.classes.items():
        colours[number] = classes.palette[name]
    image.putpalette(colours.ravel().tolist())  # which makes it an indexed one
    return image


def _pictures(scene: Scene, classes: MaskClasses) -> Iterator[tuple[str, Image.Image]]:
    yield _place("images", scene.name, scene.split), scene.image
    if scene.mask is not None:
        yield _place("masks", scene.name, scene.split), indexed_mask(scene.mask, classes)


def _place(kind: str, name: str, split: str) -> str:
    return f"{kind}/{split}/{name}.png" if split else f"{kind}/{name}.png"


def _classes(classes: MaskClasses) -> str:
    return json.dumps({key: value for key, value in classes.facts().items() if key in ("classes", "palette")}, indent=1) + "\n"


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    temporary.write_bytes(data)
    os.replace(temporary, path)

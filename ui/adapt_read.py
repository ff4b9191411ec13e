"""What lies in the runs' folders, read once as long as it does not change: tables, pairs as small pictures, accuracies."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from pathlib import Path

import pandas as pd
from PIL import Image

from core.adaptation.audit import read_audit
from core.adaptation.pairs import manifest
from core.adaptation.results import accuracies, comparisons
from core.data.labelled import LabelledSet, load_set, png_names
from core.data.pictures import enlarge, fit_within

SIDE = 112  # pixels of a small picture


def audit_table(path: Path) -> pd.DataFrame:
    """The audit's table; not to be changed."""
    return _audit(path, path.stat().st_mtime_ns)


def manifest_of(out: Path) -> pd.DataFrame:
    """The manifest of a complete adapted set; not to be changed."""
    return _manifest(out)


def index_of(path: Path) -> LabelledSet:
    """A set by its index."""
    return _index(path, path.stat().st_mtime_ns)


def tables_of(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(accuracies, comparisons) of what is finished in a comparison."""
    finished = tuple(sorted(path.name for path in (folder / "predictions").glob("*.json")))
    return _tables(folder, finished)


def small(picture: Image.Image, side: int = SIDE) -> str:
    """A picture within the page itself."""
    buffer = io.BytesIO()
    fit_within(enlarge(picture, side), side).convert("RGB").save(buffer, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def png_names_of(path: Path) -> list[str]:
    """What a set's pictures are called once they are adapted, by the set's index; not to be changed."""
    return _png_names(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _png_names(path: Path, changed: int) -> list[str]:
    return png_names(_index(path, changed).items)


@lru_cache(maxsize=4)
def _audit(path: Path, changed: int) -> pd.DataFrame:
    return read_audit(path)


@lru_cache(maxsize=4)
def _manifest(out: Path) -> pd.DataFrame:
    return manifest(out)


@lru_cache(maxsize=4)
def _index(path: Path, changed: int) -> LabelledSet:
    return load_set(path)


@lru_cache(maxsize=8)
def _tables(folder: Path, finished: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    return accuracies(folder), comparisons(folder)

"""What lies in the runs' folders, read once as long as it does not change."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pandas as pd

from core.adaptation.segment_results import by_class, mious, segment_finished, segment_gains

Finished = tuple[tuple[str, tuple[int, ...]], ...]


def finished_of(folder: Path) -> Finished:
    """Arms with their finished seeds, as something to compare."""
    return tuple((arm, tuple(seeds)) for arm, seeds in segment_finished(folder).items())


def mious_of(folder: Path) -> pd.DataFrame:
    """Of finished segmenters; not to be changed, as are the next ones."""
    return _mious(folder, finished_of(folder))


def gains_of(folder: Path) -> pd.DataFrame:
    return _gains(folder, finished_of(folder))


def classes_of(folder: Path) -> pd.DataFrame:
    return _classes(folder, finished_of(folder))


@lru_cache(maxsize=8)
def _mious(folder: Path, finished: Finished) -> pd.DataFrame:
    return mious(folder)


@lru_cache(maxsize=8)
def _gains(folder: Path, finished: Finished) -> pd.DataFrame:
    return segment_gains(folder)


@lru_cache(maxsize=8)
def _classes(folder: Path, finished: Finished) -> pd.DataFrame:
    return by_class(folder)

"""One file in two folders, for files that are never written again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def linked(path: Path, to: Path) -> None:
    """`to` is the file at `path` too, or a copy where the disk cannot link; one that is there already is left. It appears whole."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if to.exists():
        return
    try:
        os.link(path, to)
    except OSError:
        shutil.copyfile(path, unfinished := to.with_name(f".{to.name}"))
        unfinished.replace(to)

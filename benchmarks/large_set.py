"""Seconds and memory of a labelled set of 100,000 pictures: reading it from a ZIP, drawing a split, writing the index, loading it again.

    python -m benchmarks.large_set                    # 100,000 pictures of 32 pixels; --count for others

Each part is a process of its own, so that its peak memory is its own; the first line is that of a process that only imports.
"""

from __future__ import annotations

import argparse
import io
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, CLASSES = 32, 10


def make_zip(path: Path, count: int) -> None:
    """Class folders with pictures of random colours, each another one."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for k in range(count):
            rng = np.random.default_rng(k)
            pixels = np.tile(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8), (SIDE // 4, SIDE // 4, 1))
            data = io.BytesIO()
            Image.fromarray(pixels).save(data, "PNG")
            file.writestr(f"class {k % CLASSES}/{k:06d}.png", data.getvalue())


def part(name: str, folder: Path) -> None:
    """One part, told in a line: name, seconds, peak memory of the process in MB."""
    from core.data.labelled import load_set, read_set
    from core.data.labelled_split import drawn_split

    began = time.perf_counter()
    if name == "read":
        read_set(folder / "set.zip").save(folder / "read.jsonl")
    elif name == "split":
        drawn_split(load_set(folder / "read.jsonl"), "class").save(folder / "split.jsonl")
    elif name == "load":
        assert len(load_set(folder / "split.jsonl").split("train"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:8s} {time.perf_counter() - began:8.1f} s  {peak:7.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="pictures")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        part(options.part, options.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        make_zip(Path(folder) / "set.zip", options.count)
        size = (Path(folder) / "set.zip").stat().st_size / 2**20
        print(f"{options.count:,} pictures, ZIP of {size:.0f} MB, made in {time.perf_counter() - began:.0f} s", flush=True)
        for name in ("nothing", "read", "split", "load"):
            command = [sys.executable, "-m", "benchmarks.large_set", "--part", name, "--folder", folder]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()

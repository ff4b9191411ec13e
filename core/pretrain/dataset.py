"""Portraits rendered once and kept as bytes, so that a training waits for no drawing.

A rendered set is one `.npy` of uint8 `(n, 3, size, size)`. Its name holds a hash of the world's source, of the portraits' parameters,
of the domain and of the size: a changed world or another seed makes another file, and an unchanged one is reused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.worlds import fields, figure, people, styles
from core.worlds import portraits as world

DRAWING = (fields, figure, people, world, styles)  # the sources that a picture depends on; captions are not among them


def render_key(portraits: world.Portraits, domain: str, size: int) -> str:
    """16 hex digits that change with the world's source, the parameters, the domain and the size."""
    digest = hashlib.sha256("".join(inspect.getsource(module) for module in DRAWING).encode())
    for field in dataclasses.fields(portraits):
        value = getattr(portraits, field.name)
        digest.update(value.cpu().numpy().tobytes() if isinstance(value, Tensor) else repr(value).encode())
    digest.update(f"{domain} {size}".encode())
    return digest.hexdigest()[:16]


def rendered(portraits: world.Portraits, domain: str, cache: Path, size: int = 64, chunk: int = 128) -> np.ndarray:
    """The portraits drawn in a domain, uint8 `(n, 3, size, size)`, read-only and mapped from the cache folder."""
    path = Path(cache) / "portraits" / f"{domain}-{len(portraits)}-{size}-{render_key(portraits, domain, size)}.npy"

    def draw(part: Tensor) -> Tensor:
        return to_bytes(world.render(portraits[part], domain, size))

    return drawn_once(path, (len(portraits), 3, size, size), draw, chunk)


def drawn_once(path: Path, shape: tuple[int, ...], draw: Callable[[Tensor], Tensor], chunk: int) -> np.ndarray:
    """The uint8 array of this shape at `path`, read-only and mapped. Where it is not there yet, draw(indices) gives its rows.

    Drawn in chunks straight into the file, which gets its name only when it is complete.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
        rows = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        for start in range(0, shape[0], chunk):
            rows[start : start + chunk] = draw(torch.arange(start, min(start + chunk, shape[0]))).numpy()
        rows.flush()
        os.replace(temporary, path)
    return np.load(path, mmap_mode="r")


def to_bytes(images: Tensor) -> Tensor:
    """float in [-1, 1] → uint8."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def batch_of(images: np.ndarray, index: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """The chosen images as float32 `(len(index), 3, size, size)` in [-1, 1], channels last, on the device."""
    chosen = torch.from_numpy(images[index.numpy()])
    return (chosen.to(device, torch.float32) / 127.5 - 1).contiguous(memory_format=torch.channels_last)

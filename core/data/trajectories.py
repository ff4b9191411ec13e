"""Trajectories of single images, kept in memory and on disk, so that the same image is never inverted twice on the same base and grid.

Both places are bounded and drop what was used longest ago. A file appears whole or not at all; one that cannot be read is a miss and goes.
"""

from __future__ import annotations

import hashlib
import os
import threading
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from core.types import Trajectory

MIB = 1024**2
SUFFIX = ".safetensors"


def trajectory_key(weights_hash: str, image_hash: str, schedule_signature: str, timesteps: Sequence[int]) -> str:
    """32 hex characters that differ whenever the weights, the image, the schedule or the grid do; usable as a file name."""
    text = "\n".join([weights_hash, image_hash, schedule_signature, ",".join(map(str, timesteps))])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class TrajectoryStore:
    """Trajectories of one image each, by key. Safe to use from several threads. memory_bytes and disk_bytes bound the two places."""

    def __init__(self, folder: Path | str, memory_bytes: int = 256 * MIB, disk_bytes: int = 4096 * MIB) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.memory_bytes, self.disk_bytes = memory_bytes, disk_bytes
        self._memory: OrderedDict[str, Trajectory] = OrderedDict()  # the last one was used last
        self._held = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> Trajectory | None:
        """The trajectory with latents `(S, 1, 3, H, W)` float32 on the CPU, or None. It is shared: do not write into it."""
        with self._lock:
            if key in self._memory:
                self._memory.move_to_end(key)
                return self._memory[key]
            trajectory = self._read(self._path(key))
            if trajectory is not None:
                self._remember(key, trajectory)
            return trajectory

    def put(self, key: str, trajectory: Trajectory) -> None:
        """Keeps the trajectory of one image; on a full or read-only disk only in memory. Raises ValueError for several images."""
        if trajectory.latents.shape[1] != 1:
            raise ValueError(f"An entry holds one image, not {trajectory.latents.shape[1]}.")
        latents = trajectory.latents.detach().float().cpu().clone(memory_format=torch.contiguous_format)
        kept = Trajectory(tuple(trajectory.timesteps), latents)
        with self._lock:
            self._write(self._path(key), kept)
            self._remember(key, kept)
            self._bound_disk()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{SUFFIX}"

    def _remember(self, key: str, trajectory: Trajectory) -> None:
        self._forget(key)
        self._memory[key] = trajectory
        self._held += trajectory.latents.nbytes
        while self._held > self.memory_bytes:
            self._forget(next(iter(self._memory)))

    def _forget(self, key: str) -> None:
        if key in self._memory:
            self._held -= self._memory.pop(key).latents.nbytes

    def _read(self, path: Path) -> Trajectory | None:
        try:
            with safe_open(path, framework="pt") as file:
                timesteps = tuple(int(t) for t in file.metadata()["timesteps"].split(","))
                latents = file.get_tensor("latents")
            if latents.ndim != 5 or latents.shape[:2] != (len(timesteps), 1):
                raise ValueError("latents and timesteps disagree")
            os.utime(path)  # last used now
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError, KeyError, TypeError, ValueError):
            path.unlink(missing_ok=True)
            return None
        return Trajectory(timesteps, latents)

    def _write(self, path: Path, trajectory: Trajectory) -> None:
        temporary = path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            save_file({"latents": trajectory.latents}, temporary, {"timesteps": ",".join(map(str, trajectory.timesteps))})
            os.replace(temporary, path)
        except (SafetensorError, OSError):  # no room: a cache that cannot grow must not end the edit that fills it
            temporary.unlink(missing_ok=True)

    def _bound_disk(self) -> None:
        """Removes the files used longest ago until the rest fits. A file that another process took meanwhile counts as gone."""
        entries = []
        for path in self.folder.glob(f"*{SUFFIX}"):
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue
            entries.append((facts.st_mtime_ns, facts.st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.disk_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size

"""Inverted latents of images on a base: from the store where they are known, by inversion where they are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from core.data.images import image_hash
from core.data.trajectories import TrajectoryStore, trajectory_key
from core.models.base import Base
from core.process.sampling import invert
from core.types import StepEvent, Trajectory


def invert_cached(
    base: Base,
    images: Tensor,
    timesteps: Sequence[int],
    store: TrajectoryStore | None,
    lock: AbstractContextManager[Any],
) -> Iterator[StepEvent]:
    """Yields an "invert" event a step and returns (Trajectory of all images, how many were known), so:

        trajectory, known = yield from invert_cached(base, images, grid, context.store, context.lock)

    images `(B, 3, H, W)`; the latents come back on their device. Those not in the store are inverted together, the lock taken anew
    for every step, and stored one by one. Without a store everything is inverted and nothing kept.
    """
    keys = [_key(base, image, timesteps) for image in images]
    found = [store.get(key) if store else None for key in keys]
    todo = [i for i, trajectory in enumerate(found) if trajectory is None]
    if todo:
        inverted = yield from _invert(base, images[todo], timesteps, lock)
        for place, i in enumerate(todo):
            found[i] = Trajectory(tuple(timesteps), inverted[:, place : place + 1])
            if store:
                store.put(keys[i], found[i])
    latents = torch.cat([trajectory.latents.to(images.device) for trajectory in found if trajectory is not None], dim=1)
    return Trajectory(tuple(timesteps), latents), len(images) - len(todo)


def _key(base: Base, image: Tensor, timesteps: Sequence[int]) -> str:
    process = f"{base.schedule.signature()} {base.prediction} {base.dtype}"  # latents of a bfloat16 network are a little different
    return trajectory_key(base.fingerprint, image_hash(image), process, timesteps)


def _invert(base: Base, images: Tensor, timesteps: Sequence[int], lock: AbstractContextManager[Any]) -> Iterator[StepEvent]:
    """Returns the latents `(S, B, 3, H, W)`, the images themselves first."""
    total = len(timesteps) - 1
    latents = [images]
    walk = invert(base.eps, images, timesteps, base.schedule)
    for step in range(1, total + 1):
        with lock:
            latents.append(next(walk)[1])
        yield StepEvent("invert", step, total)
    return torch.stack(latents)

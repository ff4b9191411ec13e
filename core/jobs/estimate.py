"""Time and memory of a training before it starts: one network call, timed on this device, times the calls that the method counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import Tensor

from core.models.base import Base
from core.types import Work

REPEATS = 2  # timed calls, after one that warms up; the faster counts
BYTES_A_PARAMETER = 4 + 4 + 4 + 8  # base, copy, gradient, Adam's two moments, all float32


@dataclass(frozen=True)
class Probe:
    """One call with one image on the loaded base. *_s in seconds; *_bytes are what is held for the backward pass."""

    inference_s: float
    learning_s: float
    parameters: int
    held_bytes: int
    checkpointed_bytes: int


@dataclass(frozen=True)
class Estimate:
    """An estimate, and to be called so: seconds without waiting in the queue, bytes on the device that runs it."""

    seconds: float
    bytes: int
    note: str = "Estimated from one timed network call on this device, with nothing cached."


def estimate(work: Work, probe: Probe) -> Estimate:
    """calls × time; weights, gradients and optimizer + activations.

    With gradient checkpointing a call keeps little, and the backward pass computes forward anew: a third more time, and at its peak at
    most the activations of one whole call.
    """
    learning_s = probe.learning_s * (4 / 3 if work.gradient_checkpointing else 1)
    activations = work.held * probe.held_bytes
    if work.gradient_checkpointing:
        activations = work.held * probe.checkpointed_bytes + probe.held_bytes
    return Estimate(work.inference * probe.inference_s + work.learning * learning_s, BYTES_A_PARAMETER * probe.parameters + activations)


def measure(base: Base, lock: AbstractContextManager[Any]) -> Probe:
    """Times the base's network. Takes the lock for one call at a time; about six calls in all."""
    x = torch.zeros(1, 3, base.image_size, base.image_size, device=base.device)
    t = torch.zeros(1, dtype=torch.long, device=base.device)
    unet = base.trainable_copy()
    eps = base.eps_model(unet)

    @torch.no_grad()
    def infer() -> None:
        base.eps(x, t)

    @torch.enable_grad()
    def learn() -> None:
        eps(x, t).sum().backward()

    return Probe(
        inference_s=_fastest(infer, base.device, lock),
        learning_s=_fastest(learn, base.device, lock),
        parameters=sum(parameter.numel() for parameter in unet.parameters()),
        held_bytes=_held_bytes(base, unet, x, t, lock),
        checkpointed_bytes=_held_bytes(base, base.trainable_copy(gradient_checkpointing=True), x, t, lock),
    )


def _fastest(call: Callable[[], None], device: torch.device, lock: AbstractContextManager[Any]) -> float:
    """Seconds of the fastest of a few calls, the wait for the lock not counted."""
    seconds = []
    for _ in range(1 + REPEATS):
        with lock:
            began = time.perf_counter()
            call()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - began)
    return min(seconds[1:])


def _held_bytes(base: Base, unet: UNet2DModel, x: Tensor, t: Tensor, lock: AbstractContextManager[Any]) -> int:
    """Bytes of the distinct tensors that autograd keeps of one call for its backward pass, weights not counted."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in unet.parameters()}
    held: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with lock, torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = base.eps_model(unet)(x, t)
    del out  # until here it kept every tensor alive, so that no address was used twice
    return sum(held.values())

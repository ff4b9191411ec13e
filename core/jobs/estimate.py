"""Time and memory of a training before it starts: a call of each network, timed on this device, times the calls that the method counts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.models.base import Base
from core.models.clip import Clip
from core.types import Work

REPEATS = 2  # timed calls, after one that warms up; the faster counts
BYTES_A_PARAMETER = 4 + 4 + 4 + 8  # base, copy, gradient, Adam's two moments, all float32


@dataclass(frozen=True)
class Probe:
    """One call with one image on the loaded base; update_s: one step of Adam on its network; clip_*: one image that CLIP looks at.

    *_s in seconds; *_bytes are what is held for the backward pass. Without CLIP, its numbers are 0.
    """

    inference_s: float
    learning_s: float
    parameters: int
    held_bytes: int
    checkpointed_bytes: int
    update_s: float = 0.0
    clip_s: float = 0.0
    clip_parameters: int = 0
    clip_held_bytes: int = 0


@dataclass(frozen=True)
class Estimate:
    """An estimate, and to be called so: seconds without waiting in the queue, bytes on the device that runs it."""

    seconds: float
    bytes: int
    note: str = "Estimated from timed calls of the base, CLIP and the optimizer on this device, with nothing cached."


def estimate(work: Work, probe: Probe) -> Estimate:
    """calls × time; weights, gradients and optimizer + activations, with those of CLIP.

    With gradient checkpointing a call keeps little, and the backward pass computes forward anew: a third more time, and at its peak at
    most the activations of one whole call.
    """
    learning_s = probe.learning_s * (4 / 3 if work.gradient_checkpointing else 1)
    activations = work.held * probe.held_bytes
    if work.gradient_checkpointing:
        activations = work.held * probe.checkpointed_bytes + probe.held_bytes
    seconds = work.inference * probe.inference_s + work.learning * learning_s
    seconds += work.updates * probe.update_s + work.embedded * probe.clip_s
    at_once = math.ceil(work.embedded / max(1, work.updates))  # images that CLIP looks at in one update
    clip_bytes = 4 * probe.clip_parameters + at_once * probe.clip_held_bytes
    return Estimate(seconds, BYTES_A_PARAMETER * probe.parameters + activations + clip_bytes)


def measure(base: Base, clip: Clip | None, lock: AbstractContextManager[Any]) -> Probe:
    """Times the base's network, its optimizer, and CLIP where there is one. Takes the lock for one call at a time; about a dozen in all."""
    x = torch.zeros(1, 3, base.image_size, base.image_size, device=base.device)
    t = torch.zeros(1, dtype=torch.long, device=base.device)
    unet = base.trainable_copy()
    eps, optimizer = base.eps_model(unet), torch.optim.Adam(unet.parameters(), lr=0.0)
    thrifty = base.trainable_copy(gradient_checkpointing=True)

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
        held_bytes=_held_bytes(lambda: eps(x, t), unet, lock),
        checkpointed_bytes=_held_bytes(lambda: base.eps_model(thrifty)(x, t), thrifty, lock),
        update_s=_fastest(optimizer.step, base.device, lock),
        **_clip_numbers(clip, x, base.device, lock),
    )


def _clip_numbers(clip: Clip | None, x: Tensor, device: torch.device, lock: AbstractContextManager[Any]) -> dict[str, Any]:
    """The Probe's numbers of CLIP, of one image x `(1, 3, H, W)` with a gradient into it."""
    if clip is None:
        return {}
    image = x.clone().requires_grad_()

    @torch.enable_grad()
    def embed() -> Tensor:
        return clip.encode_image(image)

    @torch.enable_grad()
    def learn() -> None:
        embed().sum().backward()

    return {
        "clip_s": _fastest(learn, device, lock),
        "clip_parameters": sum(parameter.numel() for parameter in clip.model.parameters()),
        "clip_held_bytes": _held_bytes(embed, clip.model, lock),
    }


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


def _held_bytes(call: Callable[[], Tensor], network: nn.Module, lock: AbstractContextManager[Any]) -> int:
    """Bytes of the distinct tensors that autograd keeps of one call of a network for its backward pass, its weights not counted."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    held: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with lock, torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = call()
    del out  # until here it kept every tensor alive, so that no address was used twice
    return sum(held.values())

"""A method for tests of the machinery: it learns the base's weights by heart, in a few milliseconds a step, with everything that a resume
must bring back: Adam, a random generator, the step. `trouble` names something that goes wrong at step 3.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from typing import ClassVar

import torch

from core.types import (
    Context,
    Edit,
    EditCard,
    EditRequest,
    EditResult,
    Settings,
    ShiftlabError,
    StepEvent,
    Stopped,
    TrainRequest,
    Work,
)

TROUBLE = {
    "sentence": ShiftlabError("The test wants it so. Do nothing."),
    "bug": KeyError("secret detail"),
    "disk": OSError(errno.ENOSPC, "No space left on device"),
    "memory": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
    "cpu memory": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes. Error code 12"),
}


class CountingSettings(Settings):
    method: ClassVar[str] = "counting"

    steps: int = 6
    pause: float = 0.0  # seconds a step
    every: int = 5  # steps between two checkpoints
    hold: int = 0  # the step after which the run, unless it was resumed, waits to be stopped
    trouble: str = ""


class Counting:
    """Its `trouble` may be switched off from outside, as a person would free the disk."""

    settings_class = edit_settings = train_settings = CountingSettings

    def __init__(self) -> None:
        self.trouble = TROUBLE

    def work(self, settings: Settings, images: int, samples: int) -> Work:
        assert isinstance(settings, CountingSettings)
        return Work(inference=samples, learning=settings.steps * images, held=1)

    def edit(self, request: EditRequest, context: Context) -> Iterator[StepEvent | EditResult]:
        with context.lock:
            yield StepEvent("generate", 1, 1)
        yield EditResult(request.images, [{} for _ in request.images], {"total": 0.0})

    def train(self, request: TrainRequest, context: Context) -> Iterator[StepEvent | Edit]:
        settings = request.settings
        assert isinstance(settings, CountingSettings)
        weights = {name: value.clone().requires_grad_(True) for name, value in context.base.state_dict().items()}
        optimizer = torch.optim.Adam(weights.values(), lr=1e-3)
        noise = torch.Generator().manual_seed(request.seed)
        step, hold = 0, settings.hold
        if state := context.checkpoints.load():
            step, hold = state["step"], 0
            noise.set_state(state["noise"])
            optimizer.load_state_dict(state["optimizer"])
            with torch.no_grad():
                for name, value in weights.items():
                    value.copy_(state["weights"][name])

        def save() -> None:
            kept = {name: value.detach().clone() for name, value in weights.items()}
            context.checkpoints.save(step, {"step": step, "weights": kept, "optimizer": optimizer.state_dict(), "noise": noise.get_state()})

        while step < settings.steps:
            while step and step == hold and not context.should_stop():
                time.sleep(0.01)
            if context.should_stop():
                save()
                raise Stopped
            with context.lock:
                optimizer.zero_grad()
                loss = sum((w - torch.randn(w.shape, generator=noise)).square().mean() for w in weights.values())
                loss.backward()
                optimizer.step()
                time.sleep(settings.pause)
            step += 1
            if step == 3 and settings.trouble in self.trouble:
                raise self.trouble[settings.trouble]
            yield StepEvent("train", step, settings.steps, {"loss": float(loss.detach())})
            if context.save_now() or step % settings.every == 0:
                save()
                yield StepEvent("sample", step, settings.steps, images=request.images[:2])
        card = EditCard(name=request.name, method="counting", base_fingerprint=context.base.fingerprint, seed=request.seed)
        yield Edit(card, {name: value.detach() for name, value in weights.items()})

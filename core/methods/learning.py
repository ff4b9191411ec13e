"""What trainings share: the loop with its saved states and samples, the order of the images, the edit's card."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from importlib.metadata import version
from typing import Any, Protocol

import torch
from torch import Tensor

from core.methods.scores import edit_scores
from core.models.fingerprint import fingerprints
from core.process.seeds import seed_of
from core.types import Context, EditCard, ShiftlabError, StepEvent, Stopped, TrainRequest

SAMPLES = 4  # pictures shown again and again while it learns, where the request names none
LIBRARIES = ("torch", "diffusers", "open_clip_torch")


class Training(Protocol):
    """A training that is under way: `step` of `total` updates are done."""

    step: int
    total: int

    def update(self) -> dict[str, float]: ...

    def state(self) -> dict[str, Any]: ...


def learn(
    training: Training, sample_every: int, sample: Callable[[], StepEvent], context: Context
) -> Generator[StepEvent, None, dict[str, float]]:
    """The updates, with samples and a saved state every so often. Returns the numbers of the last samples.

    Raises Stopped, the state saved, when asked to stop.
    """
    saved = training.step
    while training.step < training.total:
        if context.should_stop():
            context.checkpoints.save(training.step, training.state())
            raise Stopped
        numbers = training.update()
        yield StepEvent("train", training.step, training.total, numbers)
        due = training.step % sample_every == 0
        if context.save_now() or (due and training.step > saved):
            context.checkpoints.save(training.step, training.state())
            saved = training.step
        if due and training.step < training.total:
            yield sample()
    context.checkpoints.save(training.step, training.state())
    last = sample()
    yield last
    return last.numbers


def scored_samples(training: Training, samples: Tensor, edited: Tensor, direction: Tensor, context: Context) -> StepEvent:
    """The samples `(K, 3, H, W)` as they are edited by now, with their mean scores."""
    with context.lock:
        scores = edit_scores(samples, edited, direction, context)
    means = {name: sum(score[name] for score in scores) / len(scores) for name in scores[0]}
    return StepEvent("sample", training.step, training.total, means, edited)


def descend(loss: Tensor, optimizer: torch.optim.Optimizer, updates: int) -> None:
    """One step of the optimizer on a loss `()`, after so many updates. Raises ShiftlabError where the loss is no longer a number."""
    if not math.isfinite(float(loss.detach())):
        raise ShiftlabError(f"The loss is no longer a number after {updates} updates. Lower the learning rate and start again.")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def epoch_batch(count: int, size: int, place: int, epoch: int, seed: int) -> Tensor:
    """Indices `(B,)` of an epoch's batch number `place`; each epoch visits every one of `count` images once, in an order of its own."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed_of(seed, epoch)))
    return order[place * size : (place + 1) * size]


def trained_card(request: TrainRequest, metrics: dict[str, float], context: Context, **more: Any) -> EditCard:
    """The card of the edit that this request made; more: fields beyond those that every training fills."""
    settings: Any = request.settings
    return EditCard(
        name=request.name,
        method=settings.method,
        base_fingerprint=context.base.fingerprint,
        reference_prompt=getattr(settings, "reference_prompt", ""),  # a target set needs none
        target_prompt=getattr(settings, "target_prompt", ""),
        settings=settings.model_dump(),
        seed=request.seed,
        metrics=metrics,
        versions={**{library: version(library) for library in LIBRARIES}, **fingerprints(context)},
        **more,
    )

"""Walking for people who wait: the lock taken anew for every step, and the latent that a generation starts from."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from core.models.latents import invert_cached
from core.process.ddim import ddim_step
from core.process.sampling import batch_t, generate, last
from core.process.timesteps import lab_timesteps, paper_timesteps
from core.types import Context, EpsModel, StepEvent, Stopped, Trajectory

S, T = TypeVar("S"), TypeVar("T")
INVERSION_BATCH = 16  # images inverted together


def locked(walk: Iterator[tuple[int, Tensor]], lock: AbstractContextManager[Any]) -> Iterator[tuple[int, Tensor]]:
    """The same walk, with the lock held during each of its steps and free between them."""
    while True:
        with lock:
            step = next(walk, None)
        if step is None:
            return
        yield step


def stop_if_asked(context: Context) -> None:
    """Raises Stopped when the person or the job asked for it."""
    if context.should_stop():
        raise Stopped


def asked(walk: Iterator[T], context: Context) -> Iterator[T]:
    """The same walk, which ends with Stopped at the step after which the person or the job asked for it."""
    for step in walk:
        stop_if_asked(context)
        yield step


def retold(
    walk: Generator[S, None, T], tell: Callable[[S], StepEvent], then: Callable[[], None] = lambda: None
) -> Generator[StepEvent, None, T]:
    """The same walk, each of its steps told as an event of the whole that it is a part of. then: what is done after each was heard."""
    with closing(walk):
        while True:
            try:
                step = next(walk)
            except StopIteration as end:
                return end.value
            yield tell(step)
            then()


def stoppable(walk: Generator[StepEvent, None, T], context: Context) -> Generator[StepEvent, None, T]:
    """The same walk, which ends with Stopped after the event at which the person or the job asked for it."""
    return retold(walk, lambda event: event, partial(stop_if_asked, context))


@torch.no_grad()
def generated(eps_model: EpsModel, latent: Tensor, timesteps: Sequence[int], context: Context) -> Tensor:
    """Deterministic generation to its end, without gradient: latent `(B, 3, H, W)` at timesteps[-1] → images `(B, 3, H, W)`."""
    return last(locked(generate(eps_model, latent, timesteps, context.base.schedule), context.lock))


def start_latents(
    images: Tensor, return_step: int, grid: str, inversion_steps: int, context: Context
) -> Generator[StepEvent, None, tuple[Tensor, bool]]:
    """Yields "invert" events and returns (latents `(B, 3, H, W)` at the return step, whether nothing had to be inverted).

    grid: "lab" inverts on the lab's grid up to its end, so that any other return step is there from then on; "paper" inverts on
    the paper's sequence of `inversion_steps` for this return step.
    """
    schedule = context.base.schedule
    timesteps = lab_timesteps(num_steps=schedule.num_steps) if grid == "lab" else paper_timesteps(inversion_steps, return_step)
    parts, known = images.split(INVERSION_BATCH), 0
    latents = []
    for place, part in enumerate(parts):
        stop_if_asked(context)
        walk = stoppable(invert_cached(context.base, part, timesteps, context.store, context.lock), context)
        trajectory, found = yield from retold(walk, partial(_in_whole, place=place, parts=len(parts)))
        latents.append(_latent_at(trajectory, return_step, context))
        known += found
    return torch.cat(latents), known == len(images)


def _in_whole(event: StepEvent, place: int, parts: int) -> StepEvent:
    """An event of one of several equal walks, numbered through all of them."""
    return StepEvent(event.phase, place * event.total + event.step, parts * event.total)


@torch.no_grad()
def _latent_at(trajectory: Trajectory, return_step: int, context: Context) -> Tensor:
    """The latent at a return step; between two stored ones, one more inversion step leads there from the lower one."""
    if return_step in trajectory.timesteps:
        return trajectory.at(return_step)
    below = max(t for t in trajectory.timesteps if t < return_step)
    latent = trajectory.at(below)
    with context.lock:
        eps = context.base.eps(latent, batch_t(below, latent))
        return ddim_step(latent, eps, below, return_step, context.base.schedule)

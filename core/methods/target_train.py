"""Fine-tuning of a base on a set of target images: the loop that SDFT and DomainStudio share. They differ in the losses alone.

A batch is target images, half of them mirrored, each noised to a t of its own; AdamW; a moving average of the weights, which is what is
kept. Each update draws from a generator seeded by (seed, step), so a training that was stopped and resumed equals one that was not, to the
bit on a CPU.

What comes of it is an edit: the weights of a network like the base's that now makes images of the target. SDEdit, EGSDE and DDIB carry
images across with it, and it can be kept as a base of its own (core/models/shelf.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.methods.learning import SAMPLES, descend, learn, trained_card
from core.methods.student import Start, Student
from core.methods.target_settings import TargetTune
from core.methods.walks import locked
from core.models.base import Base
from core.process.ddim import add_noise
from core.process.noise import ItemNoise
from core.process.sampling import generate, last
from core.process.seeds import seed_of
from core.process.timesteps import paper_timesteps
from core.types import Context, Edit, ShiftlabError, StepEvent, TrainRequest, Work


@dataclass(frozen=True)
class Noised:
    """A batch of target images x0, their noise, and x = x_t, each `(B, 3, H, W)`; t long `(B,)`."""

    x0: Tensor
    t: Tensor
    noise: Tensor
    x: Tensor


Losses = Callable[[Student, Noised], Mapping[str, Tensor]]  # the weighted terms, by name, each `()`; their sum is what is minimised


def train(request: TrainRequest, losses: Losses, context: Context, start: Start = "source") -> Iterator[StepEvent | Edit]:
    """Yields "train" and "sample" events and ends with the Edit. What it learns from are the request's images.

    Raises ShiftlabError where there are none or the loss is no longer a number, and Stopped, its state saved, when asked to stop.
    """
    settings = request.settings
    assert isinstance(settings, TargetTune)
    targets = request.images[: settings.images].to(context.base.device)
    if not len(targets):
        raise ShiftlabError("There are no target images to learn from. Add some on the Data tab.")
    with context.lock:
        tuning = TargetTuning(settings, targets, losses, request.seed, context, start)
    state = context.checkpoints.load()
    if state is not None:
        tuning.restore(state)
    seeds = [request.seed + i for i in range(SAMPLES)]
    of_source = free_samples(context.base, seeds, settings.sample_steps, context.lock)
    scores = yield from learn(tuning, settings.sample_every, lambda: _sampled(tuning, seeds, of_source, context), context)
    yield Edit(trained_card(request, scores, context), tuning.student.weights())


class TargetTuning:
    """The state of one training: the student, its AdamW, and how many updates are done. targets: `(N, 3, H, W)` in [-1, 1]."""

    def __init__(self, settings: TargetTune, targets: Tensor, losses: Losses, seed: int, context: Context, start: Start) -> None:
        self.settings, self.targets, self.losses, self.seed = settings, targets, losses, seed
        self.schedule, self.lock = context.base.schedule, context.lock
        self.student = Student(context.base, start, settings.rank, seed, settings.gradient_checkpointing)
        self.optimizer = torch.optim.AdamW(self.student.learning.values(), lr=settings.learning_rate, weight_decay=0.0)
        self.step, self.total = 0, settings.steps

    def batch(self) -> Noised:
        """What the next update learns from."""
        generator = torch.Generator().manual_seed(seed_of(self.seed, self.step))
        x0 = self.targets[self._indices().to(self.targets.device)]
        mirrored = torch.rand(len(x0), generator=generator).lt(0.5 if self.settings.flip else 0.0)
        x0 = torch.where(mirrored.to(x0.device)[:, None, None, None], x0.flip(3), x0)
        t = torch.randint(self.schedule.num_steps, (len(x0),), generator=generator).to(x0.device)
        noise = torch.randn(x0.shape, generator=generator).to(x0.device)
        return Noised(x0, t, noise, add_noise(x0, t, noise, self.schedule))

    def _indices(self) -> Tensor:
        """`(B,)`: the set is gone through again and again, each time in an order of its own, and batches cut what comes of it."""
        places = torch.arange(self.step * self.settings.batch_size, (self.step + 1) * self.settings.batch_size)
        rounds = places // len(self.targets)
        orders = {
            number: torch.randperm(len(self.targets), generator=torch.Generator().manual_seed(seed_of(self.seed, -1 - number)))
            for number in rounds.unique().tolist()
        }
        return torch.stack([orders[number][place] for number, place in zip(rounds.tolist(), places % len(self.targets), strict=True)])

    def update(self) -> dict[str, float]:
        """One batch and one optimizer step. Returns the loss and its terms."""
        with self.lock, torch.enable_grad():
            terms = self.losses(self.student, self.batch())
            loss = torch.stack(list(terms.values())).sum()
            descend(loss, self.optimizer, self.step)
            self.student.follow(min(self.settings.ema, (1 + self.step) / (10 + self.step)))
        self.step += 1
        return {"loss": float(loss.detach()), **{name: float(term.detach()) for name, term in terms.items()}}

    def state(self) -> dict[str, Any]:
        """Everything that the next update depends on."""
        return {"step": self.step, **self.student.state(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from what `state` gave."""
        self.student.restore(state)
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])


@torch.no_grad()
def free_samples(base: Base, seeds: list[int], steps: int, lock: AbstractContextManager[Any]) -> Tensor:
    """Images `(len(seeds), 3, H, W)` in [-1, 1] from noise alone: DDIM in `steps` steps, x̂0 clipped, item i by seeds[i]."""
    x = ItemNoise(seeds, base.device).normal((3, base.image_size, base.image_size))
    timesteps = paper_timesteps(steps, base.schedule.num_steps - 1)
    return last(locked(generate(base.eps, x, timesteps, base.schedule, clip_x0=True), lock)).clamp(-1.0, 1.0)


def _sampled(tuning: TargetTuning, seeds: list[int], of_source: Tensor, context: Context) -> StepEvent:
    """Free samples of the averaged network, with their mean perceptual distance to the source's from the same noise."""
    with context.lock:
        tuned = context.base.tuned(tuning.student.weights())
    samples, numbers = free_samples(tuned, seeds, tuning.settings.sample_steps, context.lock), {}
    if context.perceptual is not None:
        with context.lock:
            numbers["perceptual_to_source"] = float(context.perceptual(of_source, samples).mean())
    return StepEvent("sample", tuning.step, tuning.total, numbers, samples)


def training_work(settings: TargetTune, student_calls: int, teacher_calls: int) -> Work:
    """The calls of a training; student_calls and teacher_calls are those of one image of a batch."""
    looks = math.ceil(settings.steps / settings.sample_every) + 1  # one of the source
    batches = settings.steps * settings.batch_size
    return Work(
        inference=batches * teacher_calls + looks * SAMPLES * settings.sample_steps,
        learning=batches * student_calls,
        held=settings.batch_size * student_calls,
        gradient_checkpointing=settings.gradient_checkpointing,
        updates=settings.steps,
    )

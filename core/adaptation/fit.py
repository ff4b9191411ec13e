"""One classifier, one seed: epoch after epoch with its accuracy in every domain, to be resumed at the last whole epoch.

First weights, order and dropout depend on (seed, epoch) alone, so "five epochs, kill, five more" equals ten to the bit on the CPU.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from core.adaptation.classifier import CHUNK, Classifier, ClassifierSettings
from core.adaptation.pixels import Pictures
from core.methods.walks import stop_if_asked
from core.process.seeds import seed_of
from core.types import Context, ShiftlabError


@dataclass
class Progress:
    """Where a training stands; best: weights of the epoch with the least validation loss, where it may end early."""

    epoch: int = 0
    best_loss: float = float("inf")
    waited: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)

    def over(self, settings: ClassifierSettings) -> bool:
        return self.epoch >= settings.epochs or bool(settings.patience and self.waited >= settings.patience)


@dataclass(frozen=True)
class Arm:
    """What a classifier learns from and is measured on: "source", "adapted", "both", "audited" or "target", and the tests by domain."""

    name: str
    train: Pictures
    validation: Pictures
    tests: Mapping[str, Pictures]


def fit(
    arm: Arm, classes: tuple[str, ...], size: int, settings: ClassifierSettings, seed: int, context: Context, before: int = 0
) -> Generator[tuple[int, dict[str, float]], None, Classifier]:
    """Yields (epoch, numbers) after each and returns the classifier, with the best epoch's weights where it may end early.

    Numbers: "loss" of training, "validation_loss", and "<domain>_accuracy" and "<domain>_loss" of every test.
    before: epochs of the run's classifiers before this one, so that each state that is saved has a higher step than those before it.
    Raises ShiftlabError where there is nothing to learn from, Stopped when asked; what is lost then is the epoch under way.
    """
    if not len(arm.train):
        raise ShiftlabError(
            f"There is nothing to train on for {arm.name!r}: the set has no labelled picture in its train split. Draw a split."
        )
    if settings.patience and not len(arm.validation):
        raise ShiftlabError("Early stop needs a validation split, and there is none. Draw a split with one, or set early stop to 0.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = Classifier(settings.model, size, classes, settings.loss, context.device)
    optimizer = torch.optim.Adam(found.network.parameters(), settings.learning_rate)
    tag = f"{arm.name}-{seed}"
    progress = _resume(context.checkpoints.load(), tag, found, optimizer)
    weights = class_weights(arm.train.y, len(classes)) if settings.class_weights else torch.ones(len(classes))
    while not progress.over(settings):
        loss = _epoch(arm.train, weights.to(found.device), found, optimizer, settings, seed_of(seed, progress.epoch), context)
        progress.epoch += 1
        numbers = {"loss": loss, **_measured(arm, found, context)}
        _note_best(progress, numbers, found, settings)
        yield progress.epoch, numbers
        context.checkpoints.save(before + progress.epoch, _state(tag, progress, found, optimizer))
    if progress.best:
        found.network.load_state_dict(progress.best)
    return found


def class_weights(y: Tensor, classes: int) -> Tensor:
    """`(classes,)` with mean 1 over the pictures: n / (classes present · n of the class), 0 for a class that is not there."""
    counts = torch.bincount(y, minlength=classes).float()
    return torch.where(counts > 0, len(y) / ((counts > 0).sum() * counts.clamp(min=1)), torch.zeros(()))


def predictions(found: Classifier, pictures: Pictures) -> Tensor:
    """The place of the likeliest class of each picture `(n,)`."""
    parts = [found.probabilities(x).argmax(dim=1) for x, _ in pictures.batches(CHUNK)]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.long)


def _epoch(
    train: Pictures, weights: Tensor, found: Classifier, optimizer: torch.optim.Optimizer, settings: ClassifierSettings, seed: int,
    context: Context,
) -> float:  # fmt: skip
    """One pass in an order of its own; returns the mean loss."""
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    total = 0.0
    found.network.train()
    for step, index in enumerate(order.split(settings.batch_size)):
        stop_if_asked(context)
        x, y = (part.to(found.device) for part in train.batch(index))
        if len(index) == 1 and settings.model != "cnn":
            continue  # batch normalisation has no spread in one picture
        with context.lock, torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(seed, step))  # dropout
            loss = (found.losses(x, y) * weights[y]).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        total += float(loss.detach()) * len(index)
    return total / len(train)


def _measured(arm: Arm, found: Classifier, context: Context) -> dict[str, float]:
    numbers = {}
    for name, pictures in (("validation", arm.validation), *arm.tests.items()):
        if len(pictures):
            accuracy, loss = measured(found, pictures, context)
            numbers |= {f"{name}_accuracy": accuracy, f"{name}_loss": loss}
    return numbers


@torch.no_grad()
def measured(found: Classifier, pictures: Pictures, context: Context) -> tuple[float, float]:
    """(accuracy, mean loss) on pictures, of which there must be some; the lock is taken a batch at a time."""
    found.network.eval()
    right = loss = 0.0
    for x, y in pictures.batches(CHUNK):
        stop_if_asked(context)
        with context.lock:
            right += float((found.probabilities(x).argmax(dim=1) == y).sum())
            loss += float(found.losses(x.to(found.device), y.to(found.device)).sum())
    return right / len(pictures), loss / len(pictures)


def _note_best(progress: Progress, numbers: dict[str, float], found: Classifier, settings: ClassifierSettings) -> None:
    if not settings.patience:
        return
    if numbers["validation_loss"] < progress.best_loss:
        progress.best_loss, progress.waited = numbers["validation_loss"], 0
        progress.best = copy.deepcopy(found.network.state_dict())
    else:
        progress.waited += 1


def _state(tag: str, progress: Progress, found: Classifier, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    return {"tag": tag, **vars(progress), "weights": found.network.state_dict(), "optimizer": optimizer.state_dict()}


def _resume(state: dict[str, Any] | None, tag: str, found: Classifier, optimizer: torch.optim.Optimizer) -> Progress:
    """Goes on where this very training (and no other arm or seed of the run) was saved."""
    if not state or state["tag"] != tag:
        return Progress()
    found.network.load_state_dict(state["weights"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(**{name: state[name] for name in vars(Progress())})

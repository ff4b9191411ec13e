"""Training of EGSDE's domain classifier (Zhao et al., NeurIPS 2022, section 3.2 and appendix B): source or target, at every level of noise.

Half of each batch is source images, half target images, each noised to a t of its own; binary cross-entropy, AdamW. Each step draws from
a generator seeded by (seed, step), so a training that was stopped and resumed equals one that was not, to the bit on a CPU.

What differs from the reference code: the classifier starts from random weights, not from one of ImageNet, and is as small as the images
allow; some images are held out, and the card says how well it tells those.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from core.methods.domain_classifier import classifier_for
from core.methods.fields import setting
from core.methods.learning import descend, trained_card
from core.process.ddim import add_noise
from core.process.schedule import Schedule
from core.process.seeds import seed_of
from core.types import Context, Edit, Settings, ShiftlabError, StepEvent, Stopped, TrainRequest, Work

SAVE_EVERY = 250  # updates
HELD_OUT = 8  # one image in so many
CHECKED_AT = (100, 300, 500)  # timesteps at which the held-out images are read; guidance works up to M = 500
CALLS_A_CALL = 0.15  # time of a call and its backward pass in the embedded base's: 84 to 621 ms for 8 images on one CPU thread


class EGSDETune(Settings):
    """How the domain classifier is trained."""

    method: ClassVar[str] = "egsde"

    images: int = setting(200, "Training images", "The first so many of the source set and of the target set.", ge=2, le=100_000, step=1)
    iterations: int = setting(1500, "Iterations", "Updates. The paper takes 1,500 to 5,000.", ge=1, le=100_000, unit="updates", step=1)
    batch_size: int = setting(32, "Batch size", "Pictures an update, half of each domain.", ge=2, le=512, step=2)
    learning_rate: float = setting(3e-4, "Learning rate", "Of AdamW.", gt=0, le=1e-2)
    weight_decay: float = setting(0.05, "Weight decay", "Of AdamW.", ge=0, le=1, step=0.01, more=True)
    width: int = setting(
        32, "Width", "Channels of the first block; the last has four times as many.", ge=8, le=256, step=8, multiple_of=8, more=True
    )

    def least_batch(self) -> int:
        """See `Settings.least_batch`: one picture of each domain."""
        return 2


def training_work(settings: EGSDETune, images: int) -> Work:
    """The classifier's calls, in calls of the base's network that take as long."""
    calls = settings.iterations * settings.batch_size
    return Work(inference=0, learning=math.ceil(CALLS_A_CALL * calls), held=math.ceil(CALLS_A_CALL * settings.batch_size))


def train(request: TrainRequest, context: Context) -> Iterator[StepEvent | Edit]:
    """Yields "train" events and ends with the Edit, whose weights are the classifier's own.

    Raises ShiftlabError where a set has fewer than two images, and Stopped, its state saved, when asked to stop.
    """
    settings = request.settings
    assert isinstance(settings, EGSDETune)
    if request.target_images is None or len(request.target_images) < 2 or len(request.images) < 2:
        raise ShiftlabError("The domain classifier needs source and target images, two of each at least. Add them on the Data tab.")
    source, target = (_split(images[: settings.images].to(context.base.device)) for images in (request.images, request.target_images))
    training = ClassifierTraining(settings, source[0], target[0], request.seed, context)
    state = context.checkpoints.load()
    if state is not None:
        training.restore(state)
    while training.step < settings.iterations:
        if context.should_stop():
            context.checkpoints.save(training.step, training.state())
            raise Stopped
        with context.lock:
            numbers = training.update()
        yield StepEvent("train", training.step, settings.iterations, numbers)
        if context.save_now() or training.step % SAVE_EVERY == 0:
            context.checkpoints.save(training.step, training.state())
    context.checkpoints.save(training.step, training.state())
    with context.lock:
        metrics = training.accuracies(source[1], target[1])
    card = trained_card(request, metrics, context, weights="own", note="EGSDE's domain classifier, not a tuned base.")
    yield Edit(card, training.weights())


def _split(images: Tensor) -> tuple[Tensor, Tensor]:
    """(images to learn from, images held out): every eighth, and at least the last one."""
    held = torch.zeros(len(images), dtype=torch.bool)
    held[HELD_OUT - 1 :: HELD_OUT] = True
    held[-1] = True
    return images[~held], images[held]


class ClassifierTraining:
    """The classifier, its AdamW, and how many updates are done. source, target: `(N, 3, H, W)` and `(M, 3, H, W)` in [-1, 1]."""

    def __init__(self, settings: EGSDETune, source: Tensor, target: Tensor, seed: int, context: Context) -> None:
        self.settings, self.source, self.target, self.seed = settings, source, target, seed
        self.schedule: Schedule = context.base.schedule
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.classifier = classifier_for(context.base.image_size, settings.width)
        self.classifier = self.classifier.to(source.device).train()
        self.optimizer = torch.optim.AdamW(self.classifier.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
        self.step = 0

    def update(self) -> dict[str, float]:
        """One batch and one optimizer step. Returns loss and accuracy."""
        generator = torch.Generator().manual_seed(seed_of(self.seed, self.step))
        half = self.settings.batch_size // 2
        images = torch.cat([_drawn(half, images, generator) for images in (self.source, self.target)])
        t = torch.randint(self.schedule.num_steps, (2 * half,), generator=generator).to(images.device)
        noised = add_noise(images, t, torch.randn(images.shape, generator=generator).to(images.device), self.schedule)
        labels = torch.arange(2 * half, device=images.device).ge(half).float()
        with torch.enable_grad():
            logits = self.classifier(noised, t)
            loss = F.binary_cross_entropy_with_logits(logits, labels)
            descend(loss, self.optimizer, self.step)
        self.step += 1
        return {"loss": float(loss.detach()), "accuracy": float(((logits.detach() > 0) == labels.bool()).float().mean())}

    @torch.no_grad()
    def accuracies(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Share of images told right, the mean of both domains, at a few levels of noise."""
        generator = torch.Generator().manual_seed(self.seed)
        shares = {}
        for t in CHECKED_AT:
            right = [self._right(images, t, label, generator) for label, images in enumerate((source, target))]
            shares[f"accuracy_t{t}"] = sum(right) / len(right)
        return shares

    def _right(self, images: Tensor, t: int, label: int, generator: torch.Generator) -> float:
        noised = add_noise(images, t, torch.randn(images.shape, generator=generator).to(images.device), self.schedule)
        times = torch.full((len(images),), t, device=images.device)
        return float(((self.classifier(noised, times) > 0) == bool(label)).float().mean())

    def state(self) -> dict[str, Any]:
        """Everything that the next update depends on."""
        return {"step": self.step, "weights": self.weights(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from what `state` gave."""
        self.classifier.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])

    def weights(self) -> dict[str, Tensor]:
        """A copy of the classifier's weights on the CPU."""
        return {name: value.detach().cpu().clone() for name, value in self.classifier.state_dict().items()}


def _drawn(count: int, images: Tensor, generator: torch.Generator) -> Tensor:
    return images[torch.randint(len(images), (count,), generator=generator).to(images.device)]

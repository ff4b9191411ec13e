"""One segmenter, one seed: supervised on labelled scenes, or taught by its own moving average on unlabelled ones (mean teacher).

Everything random in update k depends on (seed, k) alone, so "200 updates, kill, 200 more" equals 400 to the bit on the CPU.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.adaptation.mean_teacher import batch_statistics, follow
from core.adaptation.segment_batches import RareClasses, labelled, plain
from core.adaptation.segment_mix import class_mix, jittered, pseudo_labels, strong
from core.adaptation.segment_pixels import Scenes
from core.adaptation.segment_settings import SegmentSettings
from core.adaptation.segmenter import AT_ONCE, Segmenter
from core.methods.datum_carry import recoloured
from core.methods.learning import descend
from core.methods.walks import stop_if_asked
from core.metrics.segmentation import IGNORE, confusion, iou, mean_iou
from core.models.segformer import HEAD
from core.process.seeds import seed_of
from core.types import Context, Stopped

HUE = 0.2  # share of the jitter of labelled crops that their hue has
Numbers = dict[str, float]


@dataclass(frozen=True)
class Lesson:
    """What one segmenter learns from and is measured on. target: unlabelled scenes to teach itself on; None: `source` alone.

    carried: labelled scenes that look like the target, which take half of the places of the source's; small: the places of classes that
    were not carried.
    """

    name: str
    source: Scenes
    target: Scenes | None
    tests: Mapping[str, Scenes]
    carried: Scenes | None = None
    small: tuple[int, ...] = ()

    @property
    def adapts(self) -> bool:
        """Whether it begins where a source-only segmenter ended, or could."""
        return self.target is not None or self.carried is not None

    def updates(self, settings: SegmentSettings) -> int:
        return settings.adapt_iterations if self.adapts else settings.iterations


class SegmentTraining:
    """A training under way: `step` of `total` updates are done. found: the segmenter that learns; teacher: its moving average."""

    def __init__(self, lesson: Lesson, found: Segmenter, settings: SegmentSettings, seed: int) -> None:
        self.lesson, self.found, self.settings, self.seed = lesson, found, settings, seed
        self.total, self.step = lesson.updates(settings), 0
        self.rate = settings.adapt_rate if lesson.adapts else settings.learning_rate
        network = copy.deepcopy(found.network).requires_grad_(False).eval()
        self.teacher = Segmenter(network, found.classes, found.device, found.dtype)
        self.optimizer = torch.optim.AdamW(groups(found.network, settings), self.rate, fused=True)
        self.rare = RareClasses(lesson.source, settings.crop, settings.rare_temperature, settings.rare_share / 100)
        self.sums: Numbers = {}  # of the numbers since the last measurement

    def update(self) -> None:
        """One update of both networks."""
        number = seed_of(self.seed, self.step)
        generator = torch.Generator().manual_seed(number)
        for group in self.optimizer.param_groups:
            group["lr"] = group["factor"] * self.rate * pace(self.step, self.total, self.settings.warm_up)
        x, y = self.rare.draw(self.settings.batch_size, generator)
        x = jittered(x, self.settings.source_jitter, HUE * self.settings.source_jitter, generator)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(number)  # dropout
            self.found.network.train()
            loss, numbers = self._loss(x, y, generator)
            descend(loss, self.optimizer, self.step)
        self.step += 1
        follow(self.teacher.network, self.found.network, min(1 - 1 / (self.step + 1), self.settings.average))
        for name, value in {"loss": float(loss.detach()), **numbers}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def _loss(self, x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Numbers]:
        """DAFormer's equations 1 and 5: cross-entropy on the source, and, weighted, on what was mixed from source and target."""
        supervised = losses(self.found, *self._with_carried(x, y, generator)).mean()
        if self.lesson.target is None:
            return supervised, {}
        crops = plain(self.lesson.target, len(x), self.settings.crop, generator)
        with torch.no_grad(), batch_statistics(self.teacher.network):
            said, sure = pseudo_labels(self.teacher.logits(crops), self.settings.confidence)
        mixed, labels, weight = class_mix((x, y), (crops, said.cpu()), sure, generator)
        mixed = strong(mixed, self.settings.jitter, self.settings.blur, generator)
        return supervised + (losses(self.found, mixed, labels) * weight.to(self.found.device)).mean(), {"confidence": sure}

    def _with_carried(self, x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Half of the labelled crops replaced by carried ones, onto which all of their small classes are pasted, and half of the others,
        in the carried colours: what is small melted on the way, and rare classes are rare there.
        """
        if self.lesson.carried is None:
            return x, y
        half = len(x) // 2
        crops, labels = labelled(self.lesson.carried, len(x) - half, self.settings.crop, generator)
        colours, places = recoloured(x[half:], crops), y[half:]
        small = torch.isin(places, torch.tensor(self.lesson.small, dtype=places.dtype))
        below = torch.where(small[:, None], colours, crops), torch.where(small, places, labels)
        mixed, places, _ = class_mix((colours, places), below, 1.0, generator)
        mixed = strong(mixed, self.settings.jitter, self.settings.blur, generator)
        return torch.cat([x[:half], mixed]), torch.cat([y[:half], places])

    def due(self) -> bool:
        """Whether it is to be measured now: after every so many updates, and after the last."""
        return bool(self.sums) and (self.step % self.settings.measure_every == 0 or self.step == self.total)

    def means(self) -> Numbers:
        """The mean of each number over the updates since the last measurement; begins anew."""
        since = self.step % self.settings.measure_every or self.settings.measure_every
        means = {name: total / since for name, total in self.sums.items()}
        self.sums = {}
        return means

    def state(self) -> dict[str, Any]:
        networks = {"student": self.found.network.state_dict(), "teacher": self.teacher.network.state_dict()}
        return {"step": self.step, "sums": self.sums, **networks, "optimizer": self.optimizer.state_dict()}

    def load(self, state: Mapping[str, Any]) -> None:
        self.step, self.sums = state["step"], dict(state["sums"])
        self.found.network.load_state_dict(state["student"])
        self.teacher.network.load_state_dict(state["teacher"])
        self.optimizer.load_state_dict(state["optimizer"])


def fit_segmenter(training: SegmentTraining, tag: str, before: int, context: Context) -> Generator[tuple[int, Numbers], None, Segmenter]:
    """Yields (update, numbers) after each; numbers are empty but at measurements. Returns the teacher, which is what is used.

    Numbers: "loss", "confidence" where it taught itself, and by test "<domain>_miou" and "<domain>_iou <class>" (NaN left out).
    tag: under which the state is kept; before: updates of all trainings of the run before this one, so that each state that is saved has a
    higher step than those before it. Raises Stopped, the state saved, when asked to stop.
    """

    def save() -> None:
        context.checkpoints.save(before + training.step, {"tag": tag, **training.state()})

    kept = context.checkpoints.load()
    if kept and kept["tag"] == tag:
        training.load(kept)
    while training.step < training.total or training.sums:  # sums: the last measurement is still to come
        if not training.due():
            if context.should_stop():
                save()
                raise Stopped
            with context.lock:
                training.update()
        numbers: Numbers = {}
        if training.due():
            save()  # it takes a while, and may be stopped
            scores = measured(training.teacher, training.lesson.tests, context)
            numbers = training.means() | scores
        yield training.step, numbers
        if context.save_now():
            save()
    return training.teacher


def losses(found: Segmenter, x: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of each pixel `(B, H, W)`, 0 where there is no class."""
    return F.cross_entropy(found.logits(x), y.to(found.device).long(), ignore_index=IGNORE, reduction="none")


def measured(found: Segmenter, tests: Mapping[str, Scenes], context: Context) -> Numbers:
    """mIoU and IoU of each class in every domain."""
    numbers = {}
    for domain, scenes in tests.items():
        matrix = matrices(found, scenes, context).sum(dim=0)
        by_class = dict(zip(found.names, iou(matrix).tolist(), strict=True))
        numbers[f"{domain}_miou"] = mean_iou(matrix)
        numbers |= {f"{domain}_iou {name}": value for name, value in by_class.items() if not math.isnan(value)}
    return numbers


def matrices(found: Segmenter, scenes: Scenes, context: Context) -> Tensor:
    """The confusion matrix of each picture `(n, classes, classes)` int64; the lock is taken a batch at a time."""
    rows = []
    for x, y in scenes.batches(AT_ONCE):
        stop_if_asked(context)
        with context.lock:
            said = found.places(x)
        rows += [confusion(truth, places, len(found.names)) for truth, places in zip(y, said, strict=True)]
    return torch.stack(rows)


def groups(network: nn.Module, settings: SegmentSettings) -> list[dict[str, Any]]:
    """The optimizer's groups: backbone and head, each with and without decay; normalisations and biases have none."""
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        factor = settings.head_factor if name.startswith(HEAD) else 1.0
        found.setdefault((factor, settings.weight_decay if parameter.ndim > 1 else 0.0), []).append(parameter)
    return [{"params": params, "factor": factor, "weight_decay": decay} for (factor, decay), params in found.items()]


def pace(step: int, total: int, warm_up: int) -> float:
    """Share of the learning rate in update `step`: a linear rise, times a line down to 0 (poly schedule of power 1)."""
    return min(1.0, (step + 1) / (warm_up + 1)) * (1 - step / total)

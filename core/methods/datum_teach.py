"""How a text-to-image model learns from one or a few images: what DATUM and the text-to-image DomainStudio share but the losses.

AdamW on the student's adapters or on all its weights. A training that was stopped and resumed equals one that was not, to the bit on a CPU.
Pictures of the class are made by the model before it learns, and are kept as latents: they are not decoded and encoded again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from core.data.edits import OWN
from core.methods.datum_batch import Batch, Batches, Noised, resized
from core.methods.datum_generate import drawn, drawn_latents
from core.methods.datum_settings import OneShotTune
from core.methods.datum_student import PromptStudent
from core.methods.datum_token import token_warning
from core.methods.learning import SAMPLES, descend, learn
from core.metrics.diversity import mean_distance, pairwise
from core.models.text_to_image import TextToImage
from core.types import Context, Edit, EditCard, ShiftlabError, StepEvent

TEXT_TO_IMAGE = "text_to_image"  # what a card says of the network that its edit belongs to
TINY = 1e-12  # a variety that is none
CLASS_BATCH = 8  # class images made together
LIBRARIES = ("torch", "diffusers", "transformers", "peft")

Losses = Callable[[PromptStudent, Batch], Mapping[str, Tensor]]  # the weighted terms, by name, each `()`; their sum is minimised
Keep = Callable[[int, Edit], None]  # told of each checkpoint along the way: (step, what the model is by then)


@dataclass(frozen=True)
class Lesson:
    """What a text-to-image model shall learn. shots: target images, each `(3, H, W)` in [-1, 1]."""

    shots: Sequence[Tensor]
    settings: OneShotTune
    name: str
    seed: int = 0


def predicted(student: PromptStudent, parts: Sequence[tuple[Noised, str]]) -> list[Tensor]:
    """ε of several (latents, prompt) in one call of the student, in their order."""
    z, t = torch.cat([part.z for part, _ in parts]), torch.cat([part.t for part, _ in parts])
    embeddings = torch.cat([student.embeddings(prompt, len(part.z)) for part, prompt in parts])
    return list(student.model.eps(z, t, embeddings).split([len(part.z) for part, _ in parts]))


def teach(
    lesson: Lesson, losses: Callable[[TextToImage], Losses], context: Context, keep: Keep | None = None
) -> Iterator[StepEvent | Edit]:
    """Yields "class images", "train" and "sample" events and ends with the Edit.

    losses: made for the model as it is before. Raises ShiftlabError for a token that is not one, an image smaller than the crop or a loss
    that is no number, and Stopped, its state saved, when asked to stop.
    """
    settings, model = lesson.settings, context.text_to_image()
    if warning := token_warning(settings.token, model.tokenizer):
        yield StepEvent("train", 0, settings.steps, note=warning)
    shots = [resized(shot, settings.short_side, model.image_size) for shot in lesson.shots]
    state = _saved(model, context)
    kept = yield from class_latents(model, lesson, context, state.get("class images", {}).get("latents"))
    with context.lock:
        training = Teaching(lesson, shots, kept, model, losses(model), context, keep)
    if "step" in state:
        training.restore(state)
    seeds = [lesson.seed + i for i in range(SAMPLES)]
    before = _samples(model, settings, seeds, context)
    numbers = yield from learn(training, settings.checkpoint_every, lambda: _sampled(training, before, seeds, context), context)
    yield training.edit(numbers)


def class_latents(
    model: TextToImage, lesson: Lesson, context: Context, known: Tensor | None = None
) -> Generator[StepEvent, None, Tensor | None]:
    """Yields "class images" events and returns latents `(N, C, h, w)` of what the model draws for the class prompt; None for N = 0.

    known: the first of them, as they were saved; those that are made now are saved batch by batch.
    """
    settings, made = lesson.settings, [known] if known is not None else []
    count = settings.class_images if settings.keeps() else 0
    for begin in range(len(known) if known is not None else 0, count, CLASS_BATCH):
        seeds = [lesson.seed + place for place in range(begin, min(begin + CLASS_BATCH, count))]
        prompts = [settings.class_prompt] * len(seeds)
        made.append(drawn_latents(model, prompts, seeds, settings.sample_steps, settings.sample_guidance, context).cpu())
        context.checkpoints.save(0, {"model": model.fingerprint, "class images": {"latents": torch.cat(made)}})
        yield StepEvent("class images", begin + len(seeds), count)
    return torch.cat(made) if made else None


def _saved(model: TextToImage, context: Context) -> dict[str, Any]:
    """The state that was saved, empty where there is none. Raises ShiftlabError where it was learned on another model."""
    state = context.checkpoints.load() or {}
    if (began := state.get("model", model.fingerprint)) != model.fingerprint:
        raise ShiftlabError(
            f"This run was begun on the text-to-image model {began}, but {model.fingerprint} ({model.name}) is loaded. "
            "Choose its model and resume."
        )
    return state


class Teaching:
    """The state of one training: the student, its AdamW, and how many updates are done. shots, kept: see `Batches`."""

    def __init__(
        self, lesson: Lesson, shots: Sequence[Tensor], kept: Tensor | None, model: TextToImage, losses: Losses, context: Context,
        keep: Keep | None,
    ) -> None:  # fmt: skip
        self.lesson, self.model, self.losses, self.keep = lesson, model, losses, keep
        self.settings, self.lock = lesson.settings, context.lock
        self.batches = Batches(model, shots, kept, self.settings.batch_size, lesson.seed)
        self.student = PromptStudent(model, self.settings, lesson.seed)
        self.optimizer = torch.optim.AdamW(
            self.student.learning.values(), lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay
        )
        self.step, self.total = 0, self.settings.steps

    def update(self) -> dict[str, float]:
        """One batch and one optimizer step; tells `keep` where a checkpoint is due. Returns the loss and its terms."""
        with self.lock, torch.enable_grad():
            terms = self.losses(self.student, self.batches.at(self.step))
            loss = torch.stack(list(terms.values())).sum()
            descend(loss, self.optimizer, self.step)
        self.step += 1
        if self.keep is not None and (self.step % self.settings.checkpoint_every == 0 or self.step == self.total):
            self.keep(self.step, self.edit({}))
        return {"loss": float(loss.detach()), **{name: float(term.detach()) for name, term in terms.items() if len(terms) > 1}}

    def edit(self, numbers: Mapping[str, float]) -> Edit:
        """What came of it so far."""
        settings: Any = self.settings
        card = EditCard(
            name=self.lesson.name,
            method=settings.method,
            network=TEXT_TO_IMAGE,
            base_fingerprint=self.model.fingerprint,
            reference_prompt=settings.class_prompt,
            target_prompt=settings.filled_prompt(),
            settings=settings.model_dump(),
            seed=self.lesson.seed,
            metrics={"step": self.step, **numbers},
            versions={**{library: version(library) for library in LIBRARIES}, TEXT_TO_IMAGE: f"{self.model.name} {self.model.fingerprint}"},
            weights=OWN,
            note="LoRA of a text-to-image model, as diffusers reads it." if settings.rank else "Whole networks of a text-to-image model.",
        )
        return Edit(card, self.student.weights())

    def state(self) -> dict[str, Any]:
        """Everything that the next update depends on."""
        weights = {"weights": self.student.state(), "optimizer": self.optimizer.state_dict()}
        state = {"step": self.step, "model": self.model.fingerprint, **weights}
        return state if self.batches.kept is None else {**state, "class images": {"latents": self.batches.kept}}

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from what `state` gave."""
        self.student.restore(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])


def _samples(model: TextToImage, settings: OneShotTune, seeds: list[int], context: Context) -> Tensor:
    prompts = [settings.filled_prompt()] * len(seeds)
    return drawn(model, prompts, seeds, settings.sample_steps, settings.sample_guidance, context)


def _sampled(training: Teaching, before: Tensor, seeds: list[int], context: Context) -> StepEvent:
    """Samples of the student, with how much they vary compared with the model's own from the same noise: 1 as much, 0 not at all."""
    samples, numbers = _samples(training.student.model, training.settings, seeds, context), {}
    if context.perceptual is not None:
        with context.lock:
            own, models = (mean_distance(pairwise(context.perceptual.vectors, images)) for images in (samples, before))
            numbers["variety"] = own / max(models, TINY)
    return StepEvent("sample", training.step, training.total, numbers, samples)

"""Fine-tuning of DiffusionCLIP (Kim et al., CVPR 2022, section 3.2, algorithm 1 and the GPU-efficient one of its supplement).

The whole UNet learns, from latents that the *original* model inverted, to generate images that CLIP sees moved along a direction.

chained: a generation of S_train steps with gradient through all of them, the loss on its image, one optimizer step.
saving: at every timestep the loss on the predicted image x̂0_t, one optimizer step, and the latent goes on without gradient.

What differs from the reference code: in saving mode the identity loss has a gradient (there it is computed on a detached tensor); the
images come in a new order each epoch, a function of seed and epoch; batches may hold several images. Nothing else here is random, so a
training that was stopped and resumed equals one that was not, to the bit on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from core.methods.diffusionclip_settings import DiffusionCLIPTune
from core.methods.losses import DiffusionCLIPLoss, Originals
from core.methods.scores import edit_scores
from core.methods.walks import generated, locked, start_latents
from core.models.clip import IMAGENET_TEMPLATES, PLAIN_TEMPLATES, mix_directions
from core.models.fingerprint import fingerprints
from core.process.ddim import ddim_step, predict_x0
from core.process.sampling import batch_t, generate, last
from core.process.timesteps import generation_pairs, paper_timesteps
from core.types import Context, Edit, EditCard, ShiftlabError, StepEvent, Stopped, TrainRequest

TEMPLATES = {"model": None, "imagenet": IMAGENET_TEMPLATES, "none": PLAIN_TEMPLATES}
SAMPLES = 4  # pictures shown again and again while it learns, where the request names none
LIBRARIES = ("torch", "diffusers", "open_clip_torch")


def train(request: TrainRequest, context: Context) -> Iterator[StepEvent | Edit]:
    """Yields "invert", "train" and "sample" events and ends with the Edit.

    Raises ShiftlabError where something needed is missing, and Stopped, its state saved, when asked to stop.
    """
    settings = request.settings
    assert isinstance(settings, DiffusionCLIPTune)
    images = request.images[: settings.images].to(context.base.device)
    samples = (request.samples if request.samples is not None else images[:SAMPLES]).to(context.base.device)
    direction = target_direction(settings, images, request.target_images, context)

    state = context.checkpoints.load()
    if state is None:
        latents, _ = yield from start_latents(images, settings.return_step, settings.grid, settings.inversion_steps, context)
    else:
        latents = state["latents"].to(images.device)
    sample_latents, _ = yield from start_latents(samples, settings.return_step, settings.grid, settings.inversion_steps, context)

    tuning = FineTuning(settings, images, latents, direction, request.seed, context)
    if state is not None:
        tuning.restore(state)
    scores = yield from _learn(tuning, samples, sample_latents, direction, context)
    yield Edit(_card(request, settings, scores, context), tuning.weights())


def target_direction(settings: DiffusionCLIPTune, images: Tensor, target_images: Tensor | None, context: Context) -> Tensor:
    """ΔT `(D,)`: from the prompts, from target images, or between them by `image_weight`. Raises ShiftlabError for what is missing."""
    if context.clip is None:
        raise ShiftlabError("Fine-tuning needs a CLIP model, and none is loaded. Load one under Models, or train the embedded one.")
    if settings.w_id and context.identity is None:
        raise ShiftlabError("The identity loss needs an identity encoder, and none is loaded. Load one, or set its weight to 0.")
    if not len(images):
        raise ShiftlabError("There are no images to learn from. Choose some on the Data tab.")
    if settings.image_weight and (target_images is None or not len(target_images)):
        raise ShiftlabError("The direction is to follow target images, and there are none. Add some, or set their weight to 0.")
    clip = context.clip
    text = image = None
    if settings.image_weight < 1.0:
        text = clip.text_direction(settings.reference_prompt, settings.target_prompt, TEMPLATES[settings.templates])
    if settings.image_weight > 0.0:
        image = clip.image_direction(images, target_images)
    if text is None or image is None:
        return text if image is None else image
    return mix_directions(text, image, settings.image_weight)


class FineTuning:
    """The state of one training: a copy of the base's network, its Adam, and how many updates are done.

    images, latents: `(N, 3, H, W)`, the latents standing at the return step; direction: ΔT `(D,)`.
    """

    def __init__(
        self, settings: DiffusionCLIPTune, images: Tensor, latents: Tensor, direction: Tensor, seed: int, context: Context
    ) -> None:
        self.settings, self.latents, self.seed = settings, latents, seed
        self.base, self.lock = context.base, context.lock
        self.loss = DiffusionCLIPLoss(context.clip, context.identity, direction, settings.w_clip, settings.w_l1, settings.w_id)
        self.originals = self.loss.originals(images)
        # Without dropout: the fine-tuned network starts as the very one that inverted the images.
        self.unet = self.base.trainable_copy(settings.gradient_checkpointing).eval()
        self.eps = self.base.eps_model(self.unet)
        self.optimizer = torch.optim.Adam(self.unet.parameters(), lr=settings.learning_rate)
        self.timesteps = paper_timesteps(settings.training_steps, settings.return_step)
        self.steps_an_epoch = math.ceil(len(images) / settings.batch_size)
        self.total = self.steps_an_epoch * settings.epochs
        self.step = 0

    @property
    def epoch(self) -> int:
        """The epoch, from 0, that the next update belongs to."""
        return self.step // self.steps_an_epoch

    def learning_rate(self) -> float:
        """lr·growth^epoch: the paper raises it by 1.3 after each epoch."""
        return self.settings.learning_rate * self.settings.learning_rate_growth**self.epoch

    def next_batch(self) -> Tensor:
        """Indices `(B,)` of the images of the next update; each epoch visits every image once, in an order of its own."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.latents), generator=generator)
        start = (self.step % self.steps_an_epoch) * self.settings.batch_size
        return order[start : start + self.settings.batch_size].to(self.latents.device)

    def update(self) -> dict[str, float]:
        """One batch: one optimizer step in chained mode, one a timestep in saving mode. Returns the numbers of its last loss."""
        lr = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        batch, epoch = self.next_batch(), self.epoch
        one_batch = self._chained if self.settings.mode == "chained" else self._saving
        with torch.enable_grad():
            numbers = one_batch(self.latents[batch], self.originals[batch])
        self.step += 1
        return {**numbers, "lr": lr, "epoch": float(epoch + 1)}

    def _chained(self, x: Tensor, originals: Originals) -> dict[str, float]:
        image = last(locked(generate(self.eps, x, self.timesteps, self.base.schedule), self.lock))
        with self.lock:
            return self._descend(image, originals)

    def _saving(self, x: Tensor, originals: Originals) -> dict[str, float]:
        schedule, numbers = self.base.schedule, {}
        with self.lock:
            self.base.park()  # only the copy is needed; a preview in between has brought it back
        for t, n in generation_pairs(self.timesteps):
            with self.lock:
                eps = self.eps(x, batch_t(t, x))
                numbers = self._descend(predict_x0(x, eps, schedule.alpha_bar_at(t)), originals)
                x = ddim_step(x, eps.detach(), t, n, schedule)
        return numbers

    def _descend(self, x: Tensor, originals: Originals) -> dict[str, float]:
        """One optimizer step on the loss of the images x `(B, 3, H, W)`."""
        loss, numbers = self.loss(x, originals)
        if not math.isfinite(numbers["loss"]):
            raise ShiftlabError(f"The loss is no longer a number after {self.step} updates. Lower the learning rate and start again.")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return numbers

    def state(self) -> dict[str, Any]:
        """Everything that the next update depends on."""
        return {"step": self.step, "weights": self.weights(), "optimizer": self.optimizer.state_dict(), "latents": self.latents.cpu()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from what `state` gave."""
        self.unet.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])

    def weights(self) -> dict[str, Tensor]:
        """A copy of the network's weights on the CPU."""
        return {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in self.unet.state_dict().items()}


def _learn(
    tuning: FineTuning, samples: Tensor, latents: Tensor, direction: Tensor, context: Context
) -> Generator[StepEvent, None, dict[str, float]]:
    """The updates, with samples and a saved state every so often. Returns the mean scores of the last samples."""
    saved = tuning.step
    while tuning.step < tuning.total:
        if context.should_stop():
            context.checkpoints.save(tuning.step, tuning.state())
            raise Stopped
        numbers = tuning.update()
        yield StepEvent("train", tuning.step, tuning.total, numbers)
        due = tuning.step % tuning.settings.sample_every == 0
        if context.save_now() or (due and tuning.step > saved):
            context.checkpoints.save(tuning.step, tuning.state())
            saved = tuning.step
        if due and tuning.step < tuning.total:
            yield _sampled(tuning, samples, latents, direction, context)
    context.checkpoints.save(tuning.step, tuning.state())
    last = _sampled(tuning, samples, latents, direction, context)
    yield last
    return last.numbers


def _sampled(tuning: FineTuning, samples: Tensor, latents: Tensor, direction: Tensor, context: Context) -> StepEvent:
    """The same few pictures, edited by the network as it is now, with their mean scores."""
    return_step = tuning.settings.return_step
    timesteps = paper_timesteps(min(tuning.settings.sample_steps, return_step + 1), return_step)
    edited = generated(tuning.eps, latents, timesteps, context).clamp(-1.0, 1.0)
    with context.lock:
        scores = edit_scores(samples, edited, direction, context)
    means = {name: sum(score[name] for score in scores) / len(scores) for name in scores[0]}
    return StepEvent("sample", tuning.step, tuning.total, means, edited)


def _card(request: TrainRequest, settings: DiffusionCLIPTune, scores: dict[str, float], context: Context) -> EditCard:
    versions = {library: version(library) for library in LIBRARIES}
    return EditCard(
        name=request.name,
        method=settings.method,
        base_fingerprint=context.base.fingerprint,
        reference_prompt=settings.reference_prompt,
        target_prompt=settings.target_prompt,
        settings=settings.model_dump(),
        seed=request.seed,
        metrics=scores,
        versions={**versions, **fingerprints(context)},
    )

"""Fine-tuning of DiffusionCLIP (Kim et al., CVPR 2022, section 3.2, algorithm 1 and the GPU-efficient one of its supplement).

The whole UNet learns, from latents that the *original* model inverted, to generate images that CLIP sees moved along a direction.

chained: a generation of S_train steps with gradient through all of them, the loss on its image, one optimizer step.
saving: at every timestep the loss on the predicted image x̂0_t, one optimizer step, and the latent goes on without gradient.

What differs from the reference code: in saving mode the identity loss has a gradient (there it is computed on a detached tensor); the
images come in a new order each epoch, a function of seed and epoch; batches may hold several images; pictures of the target may show their
patches (core/methods/patches.py), drawn by seed and update. Nothing else here is random, so a training that was stopped and resumed equals
one that was not, to the bit on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from core.methods.diffusionclip_settings import DiffusionCLIPTune
from core.methods.directions import target_direction
from core.methods.learning import SAMPLES, descend, epoch_batch, learn, scored_samples, trained_card
from core.methods.losses import DiffusionCLIPLoss, Originals
from core.methods.walks import generated, locked, start_latents
from core.models.attention import guided, in_pairs
from core.process.ddim import ddim_step, predict_x0
from core.process.sampling import batch_t, generate, last
from core.process.seeds import seed_of
from core.process.timesteps import generation_pairs, paper_timesteps
from core.types import Context, Edit, StepEvent, TrainRequest


def train(request: TrainRequest, context: Context) -> Iterator[StepEvent | Edit]:
    """Yields "invert", "train" and "sample" events and ends with the Edit.

    Raises ShiftlabError where something needed is missing, and Stopped, its state saved, when asked to stop.
    """
    settings = request.settings
    assert isinstance(settings, DiffusionCLIPTune)
    images = request.images[: settings.images].to(context.base.device)
    samples = (request.samples if request.samples is not None else images[:SAMPLES]).to(context.base.device)
    targets = request.target_images.to(context.base.device) if request.target_images is not None else None
    direction = target_direction(settings, images, targets, context)

    state = context.checkpoints.load()
    if state is None:
        latents, _ = yield from start_latents(images, settings.return_step, settings.grid, settings.inversion_steps, context)
    else:
        latents = state["latents"].to(images.device)
    sample_latents, _ = yield from start_latents(samples, settings.return_step, settings.grid, settings.inversion_steps, context)

    tuning = FineTuning(settings, images, latents, direction, targets, request.seed, context)
    if state is not None:
        tuning.restore(state)
    scores = yield from learn(
        tuning, settings.sample_every, lambda: _sampled(tuning, samples, sample_latents, direction, context), context
    )
    yield Edit(trained_card(request, scores, context), tuning.weights())


class FineTuning:
    """The state of one training: a copy of the base's network, its Adam, and how many updates are done.

    images, latents: `(N, 3, H, W)`, the latents standing at the return step; direction: ΔT `(D,)`; targets `(M, 3, H, W)`: pictures
    whose patches count, where the settings give them a weight.
    """

    def __init__(
        self,
        settings: DiffusionCLIPTune,
        images: Tensor,
        latents: Tensor,
        direction: Tensor,
        targets: Tensor | None,
        seed: int,
        context: Context,
    ) -> None:
        self.settings, self.latents, self.seed = settings, latents, seed
        self.base, self.lock = context.base, context.lock
        of_the_loss = {name: value for name, value in settings if name.startswith(("w_", "patch_"))}
        self.loss = DiffusionCLIPLoss(context.clip, context.identity, direction, targets=targets, **of_the_loss)
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
        place = self.step % self.steps_an_epoch
        return epoch_batch(len(self.latents), self.settings.batch_size, place, self.epoch, self.seed).to(self.latents.device)

    def update(self) -> dict[str, float]:
        """One batch: one optimizer step in chained mode, one a timestep in saving mode. Returns the numbers of its last loss."""
        lr = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        batch, epoch = self.next_batch(), self.epoch
        patches = torch.Generator().manual_seed(seed_of(self.seed, self.step))
        one_batch = self._chained if self.settings.mode == "chained" else self._saving
        with torch.enable_grad():
            numbers = one_batch(self.latents[batch], self.originals[batch], patches)
        self.step += 1
        return {**numbers, "lr": lr, "epoch": float(epoch + 1)}

    def _chained(self, x: Tensor, originals: Originals, patches: torch.Generator) -> dict[str, float]:
        image = last(locked(generate(self.eps, x, self.timesteps, self.base.schedule), self.lock))
        with self.lock:
            return self._descend(image, originals, patches)

    def _saving(self, x: Tensor, originals: Originals, patches: torch.Generator) -> dict[str, float]:
        schedule, numbers = self.base.schedule, {}
        with self.lock:
            self.base.park()  # only the copy is needed; a preview in between has brought it back
        for t, n in generation_pairs(self.timesteps):
            with self.lock:
                eps = self.eps(x, batch_t(t, x))
                numbers = self._descend(predict_x0(x, eps, schedule.alpha_bar_at(t)), originals, patches)
                x = ddim_step(x, eps.detach(), t, n, schedule)
        return numbers

    def _descend(self, x: Tensor, originals: Originals, patches: torch.Generator) -> dict[str, float]:
        """One optimizer step on the loss of the images x `(B, 3, H, W)`. patches: draws those that are compared."""
        loss, numbers = self.loss(x, originals, patches)
        descend(loss, self.optimizer, self.step)
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


def _sampled(tuning: FineTuning, samples: Tensor, latents: Tensor, direction: Tensor, context: Context) -> StepEvent:
    """The same few pictures, edited by the network as it is now, with their mean scores."""
    return_step = tuning.settings.return_step
    timesteps = paper_timesteps(min(tuning.settings.sample_steps, return_step + 1), return_step)
    scale = tuning.settings.attention_guidance
    eps = guided(tuning.base.eps_model(in_pairs(tuning.unet)), scale) if scale else tuning.eps
    edited = generated(eps, latents, timesteps, context).clamp(-1.0, 1.0)
    return scored_samples(tuning, samples, edited, direction, context)

"""Training of Asyrp's delta block (Kwon et al., ICLR 2023, section 4, eq. 8 and algorithm 1).

Only the block f learns, by plain gradient descent. An image is walked down from its inverted latent twice: edited, with the asymmetric
step, and as it is. At every timestep ≥ t_edit, with P_t the predicted image x̂0_t of each walk, one step of the optimizer on

    L = w_clip·(−log((1 + cos(E_I(P̃_t) − E_I(P_t), ΔT)) / 2)) + w_l1·cos(E_T, E_T)·|P̃_t − P_t| + w_id·(1 − cos(identities))

and both walks go on without gradient. At the end the images are walked once more for the mean Δh at each timestep.

What differs from the reference code: one pass of the encoder for both walks; gradients flow through the decoder alone; the images come in a
new order each epoch, a function of seed and epoch. Nothing else here is random but the block's first weights, by the seed, so a training
that was stopped and resumed equals one that was not, to the bit on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.methods.asyrp_block import new_block
from core.methods.asyrp_settings import AsyrpTune
from core.methods.asyrp_shift import MeanDelta, Shift, asymmetric_generate, asymmetric_step, delta_of, of_block
from core.methods.asyrp_steps import Curves, prompt_similarity
from core.methods.directions import target_direction
from core.methods.learning import SAMPLES, descend, epoch_batch, learn, scored_samples, trained_card
from core.methods.losses import DiffusionCLIPLoss
from core.methods.walks import INVERSION_BATCH, locked, start_latents, stop_if_asked
from core.models.h_space import HSpace
from core.process.ddim import ddim_compose, ddim_step, predict_x0
from core.process.noise import ItemNoise
from core.process.sampling import batch_t, last
from core.process.timesteps import generation_pairs, paper_timesteps
from core.types import Context, Edit, ShiftlabError, StepEvent, TrainRequest


@dataclass(frozen=True)
class Interval:
    """Where is edited (t ≥ t_edit) and boosted (t < t_boost), and the similarity of the prompts that L1 is weighted by."""

    t_edit: int
    t_boost: int
    similarity: float

    def metrics(self) -> dict[str, float]:
        """As the edit's card keeps it, so that its use needs no measuring."""
        return {"t_edit": float(self.t_edit), "t_boost": float(self.t_boost), "similarity": self.similarity}


def train(request: TrainRequest, context: Context, curves: Curves) -> Iterator[StepEvent | Edit]:
    """Yields "measure", "invert", "train", "sample" and "average" events and ends with the Edit.

    Raises ShiftlabError where something needed is missing, and Stopped, its state saved, when asked to stop.
    """
    settings = request.settings
    assert isinstance(settings, AsyrpTune)
    images = request.images[: settings.images].to(context.base.device)
    samples = (request.samples if request.samples is not None else images[:SAMPLES]).to(context.base.device)
    direction = target_direction(settings, images, request.target_images, context)
    state = context.checkpoints.load()
    if state is None:
        interval = yield from measured_interval(settings, context, curves)
        latents, _ = yield from start_latents(images, settings.return_step, settings.grid, settings.inversion_steps, context)
    else:
        interval, latents = Interval(**state["interval"]), state["latents"].to(images.device)
    sample_latents, _ = yield from start_latents(samples, settings.return_step, settings.grid, settings.inversion_steps, context)

    training = ShiftTraining(settings, latents, direction, interval, request.seed, context)
    if state is not None:
        training.restore(state)
    scores = yield from learn(
        training, settings.sample_every, lambda: _sampled(training, samples, sample_latents, direction, context), context
    )
    edit = Edit(trained_card(request, {**scores, **interval.metrics()}, context, weights="own"), training.weights())
    yield (yield from averaged(edit, latents, training.timesteps, interval.t_edit, context))


def measured_interval(settings: AsyrpTune, context: Context, curves: Curves) -> Generator[StepEvent, None, Interval]:
    """What the settings leave open is measured."""
    similarity = settings.similarity
    if similarity is None:
        similarity = prompt_similarity(settings.reference_prompt, settings.target_prompt, context)
    t_edit, t_boost = settings.t_edit, settings.t_boost
    if t_edit is None or t_boost is None:
        curve = yield from curves.of(context)
        if t_edit is None:  # at least the first step is edited
            t_edit = min(curve.t_edit(similarity, settings.edit_threshold), settings.return_step)
        t_boost = curve.t_boost(settings.boost_threshold) if t_boost is None else t_boost
    if t_edit > settings.return_step:
        raise ShiftlabError(f"Editing would end at t = {t_edit}, above the return step {settings.return_step}. Set t_edit lower.")
    return Interval(t_edit, t_boost, similarity)


class ShiftTraining:
    """The state of one training: the delta block, its optimizer, and how many updates are done.

    latents: `(N, 3, H, W)`, standing at the return step; direction: ΔT `(D,)`.
    """

    def __init__(
        self, settings: AsyrpTune, latents: Tensor, direction: Tensor, interval: Interval, seed: int, context: Context
    ) -> None:
        self.settings, self.latents, self.interval, self.seed = settings, latents, interval, seed
        # float16 has no range for gradients
        self.base = context.base.with_dtype(torch.float32) if context.base.dtype == torch.float16 else context.base
        self.lock = context.lock
        self.space = HSpace(self.base)
        self.block = new_block(self.space, seed)
        self.optimizer = torch.optim.SGD(self.block.parameters(), lr=settings.learning_rate)
        w_l1 = settings.w_l1 * interval.similarity
        self.loss = DiffusionCLIPLoss(context.clip, context.identity, direction, settings.w_clip, w_l1, settings.w_id)
        self.timesteps = paper_timesteps(settings.training_steps, settings.return_step)
        self.pairs = [(t, n) for t, n in generation_pairs(self.timesteps) if t >= interval.t_edit]
        self.steps_an_epoch = math.ceil(len(latents) / settings.batch_size)
        self.total = self.steps_an_epoch * settings.epochs
        self.step = 0

    def update(self) -> dict[str, float]:
        """One batch down to t_edit, with one optimizer step at each timestep. Returns the numbers of its last loss."""
        epoch, place = divmod(self.step, self.steps_an_epoch)
        batch = epoch_batch(len(self.latents), self.settings.batch_size, place, epoch, self.seed)
        original = edited = self.latents[batch.to(self.latents.device)]
        numbers: dict[str, float] = {}
        for t, n in self.pairs:
            with self.lock, torch.enable_grad():
                edited, original, numbers = self._step(edited, original, t, n)
        self.step += 1
        return {**numbers, "epoch": float(epoch + 1)}

    def _step(self, edited: Tensor, original: Tensor, t: int, n: int) -> tuple[Tensor, Tensor, dict[str, float]]:
        """One step of both walks, each `(B, 3, H, W)`, and one of the optimizer."""
        schedule, count = self.base.schedule, len(edited)
        both = torch.cat([edited, original])
        with torch.no_grad():
            halfway = self.space.encode(both, batch_t(t, both))
            (eps_both,) = self.space.decode(halfway, halfway.h)
        eps, eps_original = eps_both.split(count)
        halfway = halfway.part(0, count)
        (eps_shifted,) = self.space.decode(halfway, halfway.h + self.block(halfway.h, halfway.emb))
        p_edited = predict_x0(edited, eps_shifted, schedule.alpha_bar_at(t))
        p_original = predict_x0(original, eps_original, schedule.alpha_bar_at(t))
        loss, numbers = self.loss(p_edited, self.loss.originals(p_original))
        descend(loss, self.optimizer, self.step)
        lower = ddim_compose(p_edited.detach(), eps, t, n, schedule)
        return lower, ddim_step(original, eps_original, t, n, schedule), numbers

    def shifts(self, steps: int) -> list[Shift]:
        """The block as it is now, for a generation of so many steps."""
        return [Shift(of_block(self.block), self.settings.training_steps / steps, self.interval.t_edit)]

    def state(self) -> dict[str, Any]:
        """Everything that the next update depends on; plain gradient descent keeps nothing."""
        return {"step": self.step, "weights": self.weights(), "interval": vars(self.interval), "latents": self.latents.cpu()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from what `state` gave."""
        self.block.load_state_dict(state["weights"])
        self.step = int(state["step"])

    def weights(self) -> dict[str, Tensor]:
        """A copy of the block's weights on the CPU."""
        return {name: value.detach().cpu().clone() for name, value in self.block.state_dict().items()}


@torch.no_grad()
def averaged(
    edit: Edit, latents: Tensor, timesteps: list[int], t_edit: int, context: Context
) -> Generator[StepEvent, None, Edit]:
    """Yields "average" events and returns the edit with the mean Δh, at each timestep ≥ t_edit, of these images walked with strength 1.

    latents: `(N, 3, H, W)`, standing at timesteps[-1].
    """
    space = HSpace(context.base)
    mean = MeanDelta(delta_of(edit, "own", space))
    shifts = [Shift(mean, 1.0, t_edit)]
    pairs = [(t, n) for t, n in generation_pairs(timesteps) if t >= t_edit]
    parts = latents.split(INVERSION_BATCH)
    for place, x in enumerate(parts):
        for k, (t, n) in enumerate(pairs, start=1):
            with context.lock:
                x = asymmetric_step(space, shifts, x, t, n)
            yield StepEvent("average", place * len(pairs) + k, len(parts) * len(pairs))
            stop_if_asked(context)
    return mean.into(edit)


@torch.no_grad()
def _sampled(training: ShiftTraining, samples: Tensor, latents: Tensor, direction: Tensor, context: Context) -> StepEvent:
    """The same few pictures, edited by the block as it is now, with their mean scores."""
    settings = training.settings
    timesteps = paper_timesteps(min(settings.sample_steps, settings.return_step + 1), settings.return_step)
    noise = ItemNoise([training.seed + i for i in range(len(latents))], latents.device)
    walk = asymmetric_generate(training.space, training.shifts(len(timesteps)), latents, timesteps, training.interval.t_boost, noise)
    edited = last(locked(walk, context.lock)).clamp(-1.0, 1.0)
    return scored_samples(training, samples, edited, direction, context)

"""DiffusionCLIP: Text-Guided Diffusion Models for Robust Image Manipulation (Kim, Kwon and Ye, CVPR 2022).

An image is taken back into noise with the original model (DDIM inversion, eq. 12) and forth again with a fine-tuned one. This file is
the way of an image; fine-tuning (eq. 8–10) stands in diffusionclip_train.py.

What differs from the reference code: trajectories are kept and shared between return steps, every item of a batch has its own noise,
a hybrid's thresholds work for whole batches, and the way back may be guided by attention.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator

import torch
from torch import Tensor

from core.data.edits import check_base
from core.methods.diffusionclip_settings import DiffusionCLIPEdit, DiffusionCLIPTune
from core.methods.diffusionclip_train import train
from core.methods.diffusionclip_work import training_work
from core.methods.scores import direction_of, edit_scores
from core.methods.tuned import TunedModels
from core.methods.walks import locked, start_latents, stop_if_asked
from core.models.fingerprint import fingerprints
from core.process.ddim import add_noise
from core.process.mixing import Hybrid
from core.process.noise import ItemNoise
from core.process.sampling import generate
from core.process.timesteps import paper_timesteps
from core.types import Context, Edit, EditRequest, EditResult, EpsModel, Settings, ShiftlabError, StepEvent, TrainRequest, Work

PASS_STEPS = 6  # DDIM steps of one pass into the source (supplement, "unseen domains")


class DiffusionCLIP:
    """Fine-tunes a base towards a prompt, and carries images across with what came of it."""

    edit_settings = DiffusionCLIPEdit
    train_settings = DiffusionCLIPTune

    def __init__(self) -> None:
        self._tuned = TunedModels()

    def train(self, request: TrainRequest, context: Context) -> Iterator[StepEvent | Edit]:
        """Yields events and ends with the Edit. See diffusionclip_train.train."""
        return train(request, context)

    def work(self, settings: Settings, images: int, samples: int) -> Work:
        """The network calls of a training on so many images, with so many samples to show."""
        assert isinstance(settings, DiffusionCLIPTune)
        return training_work(settings, images, samples)

    @torch.no_grad()
    def edit(self, request: EditRequest, context: Context) -> Iterator[StepEvent | EditResult]:
        """Yields "encode", "invert" and "generate" events and ends with the EditResult; without edits it is the reconstruction.

        Raises ShiftlabError for an edit of another base or a mixture that does not fit the edits, Stopped when asked to stop.
        """
        settings = request.settings
        assert isinstance(settings, DiffusionCLIPEdit)
        for edit in request.edits:
            check_base(edit.card, context.base.fingerprint, override=settings.any_base)
        eps_model = self._mixture(request.edits, settings, context)
        images = request.images.to(context.base.device)
        noise = ItemNoise([request.seed + i for i in range(len(images))], images.device)

        began = time.perf_counter()
        source = yield from _into_source(images, settings, noise, context)
        latent, cached = yield from _encode(source, settings, noise, context)
        inverted = time.perf_counter()
        edited = yield from _generate(eps_model, latent, settings, noise, context)
        timing = {"invert": inverted - began, "generate": time.perf_counter() - inverted, "cached": float(cached)}

        with context.lock:
            scores = edit_scores(images, edited, _direction(request.edits, settings, context), context)
        yield EditResult(edited, scores, {**timing, "total": time.perf_counter() - began}, models=fingerprints(context))

    def _mixture(self, edits: tuple[Edit, ...], settings: DiffusionCLIPEdit, context: Context) -> EpsModel:
        """ε = r·Σ ratio_i·ε_i + (1 − r)·ε_original, with the ratios of the table's first threshold ≤ t (section 3.4), each ε guided."""
        scale = settings.attention_guidance
        if not edits:
            return context.base.guided(scale)
        table = settings.hybrid or {0: [1.0] * len(edits)}
        if any(len(ratios) != len(edits) for ratios in table.values()):
            raise ShiftlabError(f"The mixture by timestep needs one ratio for each of the {len(edits)} edits. Complete its rows.")
        if any(sum(ratios) == 0 for ratios in table.values()):
            raise ShiftlabError("The mixture by timestep has a row whose ratios add up to nothing. Give one edit of it a ratio above 0.")
        r = settings.strength
        rows = {t: [*(r * ratio / sum(ratios) for ratio in ratios), 1.0 - r] for t, ratios in table.items()}
        bases = [*(self._tuned.of(context.base, edit) for edit in edits), context.base]
        return Hybrid([base.guided(scale) for base in bases], rows)


def _direction(edits: tuple[Edit, ...], settings: DiffusionCLIPEdit, context: Context) -> Tensor | None:
    """ΔT of the settings' prompts; where they are empty, of the first edit's."""
    card = edits[0].card if edits else None
    reference = settings.reference_prompt or (card.reference_prompt if card else "")
    target = settings.target_prompt or (card.target_prompt if card else "")
    return direction_of(reference, target, context)


def _into_source(images: Tensor, settings: DiffusionCLIPEdit, noise: ItemNoise, context: Context) -> Generator[StepEvent, None, Tensor]:
    """Strokes and unseen domains (section 3.4): n_iter times noised to the return step and denoised by the original model.

    Yields "encode" events and returns the images `(B, 3, H, W)`, which the source's model can then invert.
    """
    base, total = context.base, settings.n_iter * PASS_STEPS
    timesteps = paper_timesteps(PASS_STEPS, settings.return_step) if settings.n_iter else []
    x = images
    for i in range(settings.n_iter):
        x = add_noise(x, settings.return_step, noise.normal(x.shape[1:]), base.schedule)
        for step, lower in locked(generate(base.eps, x, timesteps, base.schedule), context.lock):
            x = lower
            yield StepEvent("encode", i * PASS_STEPS + step, total)
            stop_if_asked(context)
    return x


def _encode(
    images: Tensor, settings: DiffusionCLIPEdit, noise: ItemNoise, context: Context
) -> Generator[StepEvent, None, tuple[Tensor, bool]]:
    """Yields "invert" events and returns (latents at the return step, whether no network call was needed)."""
    if settings.encoding == "noise":
        return add_noise(images, settings.return_step, noise.normal(images.shape[1:]), context.base.schedule), True
    return (yield from start_latents(images, settings.return_step, settings.grid, settings.inversion_steps, context))


def _generate(
    eps_model: EpsModel, latent: Tensor, settings: DiffusionCLIPEdit, noise: ItemNoise, context: Context
) -> Generator[StepEvent, None, Tensor]:
    """Yields "generate" events, of which the last shows the images, and returns them: `(B, 3, H, W)` in [-1, 1]."""
    steps = min(settings.generation_steps, settings.return_step + 1)  # a low return step has no room for more
    timesteps = paper_timesteps(steps, settings.return_step)
    x = latent
    for step, lower in locked(generate(eps_model, x, timesteps, context.base.schedule, settings.eta, noise), context.lock):
        x = lower if step < steps else lower.clamp(-1.0, 1.0)
        yield StepEvent("generate", step, steps, images=x if step == steps else None)
        stop_if_asked(context)
    return x

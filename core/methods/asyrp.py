"""Asyrp: Diffusion Models Already Have a Semantic Latent Space (Kwon, Jeong and Uh, ICLR 2023).

The network stays as it is; a small block learns to shift its innermost features h, and the shift changes the predicted image of a step but
not the step's direction. This file is the way of an image; the step stands in asyrp_shift.py, where to edit in asyrp_steps.py, training in
asyrp_train.py.

What differs from the reference code: t_edit and t_boost are measured on the loaded base and kept in the edit's card; every item of a batch
has its own noise; a strip of strengths starts from one inversion.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from core.data.edits import check_base
from core.methods.asyrp_settings import AsyrpEdit, AsyrpTune
from core.methods.asyrp_shift import Shift, asymmetric_generate, delta_of
from core.methods.asyrp_steps import Curves, PerceptualCurve, prompt_similarity
from core.methods.asyrp_train import averaged, train
from core.methods.scores import direction_of, edit_scores
from core.methods.walks import locked, start_latents, stop_if_asked
from core.models.fingerprint import fingerprints
from core.models.h_space import HSpace
from core.process.noise import ItemNoise
from core.process.timesteps import lab_timesteps, paper_timesteps
from core.types import Context, Edit, EditCard, EditRequest, EditResult, Settings, ShiftlabError, StepEvent, TrainRequest, Work

EDITED_SHARE = 0.5  # of the steps of a walk, before t_edit is measured; 0.51 on CelebA-HQ
CURVE_CALLS = 400  # of measuring it: 8 pictures, 50 steps


class Asyrp:
    """Trains a delta block towards a prompt, and carries images across with one or several."""

    edit_settings = AsyrpEdit
    train_settings = AsyrpTune

    def __init__(self) -> None:
        self.curves = Curves()

    def train(self, request: TrainRequest, context: Context) -> Iterator[StepEvent | Edit]:
        """Yields events and ends with the Edit. See asyrp_train.train."""
        return train(request, context, self.curves)

    def work(self, settings: Settings, images: int, samples: int) -> Work:
        """The calls for so many images: a step without gradient is two calls, both walks'; one with it, not quite one, the decoder's."""
        assert isinstance(settings, AsyrpTune)
        images = min(images, settings.images)
        grid = len(lab_timesteps()) if settings.grid == "lab" else settings.inversion_steps
        edited = EDITED_SHARE if settings.t_edit is None else 1.0 - settings.t_edit / (settings.return_step + 1)
        steps = math.ceil(settings.training_steps * max(edited, 0.0))
        batches = math.ceil(images / settings.batch_size) * settings.epochs
        learning = images * settings.epochs * steps
        looks = math.ceil(batches / settings.sample_every)
        measured = CURVE_CALLS if settings.t_edit is None or settings.t_boost is None else 0
        shown = looks * samples * settings.sample_steps
        return Work(
            inference=measured + (grid - 1) * (images + samples) + 2 * learning + shown + images * steps,
            learning=learning,
            held=min(settings.batch_size, images),
            updates=batches * steps,
            embedded=learning,
        )

    def edit(self, request: EditRequest, context: Context) -> Iterator[StepEvent | EditResult]:
        """Yields "measure", "invert" and "generate" events and ends with the EditResult; without edits it is the reconstruction.

        Raises ShiftlabError for edits that do not fit, Stopped when asked to stop.
        """
        assert isinstance(request.settings, AsyrpEdit)
        return self.strip(request, [request.settings.strength], context)

    @torch.no_grad()
    def strip(self, request: EditRequest, strengths: Sequence[float], context: Context) -> Iterator[StepEvent | EditResult]:
        """The images edited with each of several strengths, such as −c … +c, all from one inversion and with the same noise.

        Yields the events of `edit` and one EditResult a strength, in their order.
        """
        settings = request.settings
        assert isinstance(settings, AsyrpEdit)
        for edit in request.edits:
            check_base(edit.card, context.base.fingerprint, override=settings.any_base)
        images = request.images.to(context.base.device)
        began = time.perf_counter()
        space = HSpace(context.base)
        shifts, t_boost = yield from self._shifts(request.edits, settings, space, context)
        latents, cached = yield from start_latents(images, settings.return_step, settings.grid, settings.inversion_steps, context)
        inverted = time.perf_counter() - began
        direction = _direction(request.edits, settings, context)
        for place, strength in enumerate(strengths):
            began = time.perf_counter()
            noise = ItemNoise([request.seed + i for i in range(len(images))], images.device)
            scaled = [replace(shift, strength=strength * shift.strength) for shift in shifts if strength * shift.strength]
            walk = asymmetric_generate(space, scaled, latents, _timesteps(settings), t_boost, noise)
            edited = yield from _walked(walk, place, len(strengths), len(_timesteps(settings)), context)
            generated = time.perf_counter() - began
            with context.lock:
                scores = edit_scores(images, edited, direction, context)
            timing = {"invert": inverted, "generate": generated, "cached": float(cached), "total": inverted + generated}
            yield EditResult(edited, scores, timing, models=fingerprints(context))
            inverted, cached = 0.0, True

    def average(self, edit: Edit, images: Tensor, settings: AsyrpEdit, context: Context) -> Iterator[StepEvent | Edit]:
        """Yields events and ends with the edit, to which the mean Δh over these images is added: for edits that came without one."""
        check_base(edit.card, context.base.fingerprint, override=settings.any_base)
        t_edit = yield from self._t_edit(edit.card, settings, context)
        images = images.to(context.base.device)
        latents, _ = yield from start_latents(images, settings.return_step, settings.grid, settings.inversion_steps, context)
        yield (yield from averaged(edit, latents, _timesteps(settings), t_edit, context))

    def curve(self, context: Context) -> Generator[StepEvent, None, PerceptualCurve]:
        """The curve that t_edit and t_boost are read from, measured once for each base. Yields "measure" events."""
        return self.curves.of(context)

    def _shifts(
        self, edits: Sequence[Edit], settings: AsyrpEdit, space: HSpace, context: Context
    ) -> Generator[StepEvent, None, tuple[list[Shift], int]]:
        """(the shifts that make up strength 1, t_boost). Several edits get 1/√k each, or the settings' own factors (section 5.3)."""
        if not edits:
            return [], settings.t_boost or 0
        factors = settings.strengths or [1.0 / math.sqrt(len(edits))] * len(edits)
        if len(factors) != len(edits):
            raise ShiftlabError(f"“Strengths of several” needs one number for each of the {len(edits)} edits, not {len(factors)}.")
        shifts = []
        for edit, factor in zip(edits, factors, strict=True):
            delta = delta_of(edit, settings.direction, space)
            t_edit = yield from self._t_edit(edit.card, settings, context)
            if t_edit > settings.return_step:
                where = f"{edit.card.name!r} shifts nothing below t = {t_edit}"
                raise ShiftlabError(f"{where}, and the return step is {settings.return_step}. Raise the return step.")
            shifts.append(Shift(delta, factor * _rescaling(edit.card, settings), t_edit))
        return shifts, (yield from self._t_boost(edits, settings, context))

    def _t_edit(self, card: EditCard, settings: AsyrpEdit, context: Context) -> Generator[StepEvent, None, int]:
        """As the settings say, else as the edit was trained, else measured."""
        if settings.t_edit is not None:
            return settings.t_edit
        if "t_edit" in card.metrics:
            return int(card.metrics["t_edit"])
        reference, target = _prompts(card, settings)
        if not reference or not target:
            raise ShiftlabError(f"The edit {card.name!r} names no prompts to measure t_edit by. Give both prompts, or set t_edit.")
        curve = yield from self.curves.of(context)
        return min(curve.t_edit(prompt_similarity(reference, target, context)), settings.return_step)

    def _t_boost(self, edits: Sequence[Edit], settings: AsyrpEdit, context: Context) -> Generator[StepEvent, None, int]:
        """As the settings say, else as it was when the first edit that says it was trained, else measured."""
        if settings.t_boost is not None:
            return settings.t_boost
        known = [int(edit.card.metrics["t_boost"]) for edit in edits if "t_boost" in edit.card.metrics]
        if known:
            return known[0]
        curve = yield from self.curves.of(context)
        return curve.t_boost()


def _timesteps(settings: AsyrpEdit) -> list[int]:
    """A low return step has no room for more steps than its own number."""
    return paper_timesteps(min(settings.generation_steps, settings.return_step + 1), settings.return_step)


def _rescaling(card: EditCard, settings: AsyrpEdit) -> float:
    """n_train / n_test: every step adds its shift, so fewer steps must add more each. 1 where the card does not say n_train."""
    steps = len(_timesteps(settings))
    return float(card.settings.get("training_steps", steps)) / steps if settings.rescale else 1.0


def _prompts(card: EditCard, settings: AsyrpEdit) -> tuple[str, str]:
    """The settings' prompts; where they are empty, the edit's."""
    return settings.reference_prompt or card.reference_prompt, settings.target_prompt or card.target_prompt


def _direction(edits: Sequence[Edit], settings: AsyrpEdit, context: Context) -> Tensor | None:
    """ΔT of the settings' prompts; where they are empty, of the first edit's."""
    reference, target = _prompts(edits[0].card, settings) if edits else (settings.reference_prompt, settings.target_prompt)
    return direction_of(reference, target, context)


def _walked(
    walk: Iterator[tuple[int, Tensor]], place: int, places: int, steps: int, context: Context
) -> Generator[StepEvent, None, Tensor]:
    """Yields "generate" events, numbered through all walks of a strip, of which each walk's last shows the images; returns those.

    Images: `(B, 3, H, W)` in [-1, 1].
    """
    x: Tensor | None = None
    for step, lower in locked(walk, context.lock):
        x = lower if step < steps else lower.clamp(-1.0, 1.0)
        yield StepEvent("generate", place * steps + step, places * steps, images=x if step == steps else None)
        stop_if_asked(context)
    assert x is not None, "a walk has at least one step"
    return x

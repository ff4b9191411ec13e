"""Dual Diffusion Implicit Bridges for Image-to-Image Translation (Su, Song, Meng and Ermon, ICLR 2023).

Two bases, each of its own domain, share one space of noise: an image is encoded by DDIM inversion with the source's base up to T, and
decoded by DDIM generation with the target's (algorithm 1). Nothing is random, and the way back is the same with the bases exchanged.

What differs from the reference code: steps and T are settings, and the inversion is kept, so that another target costs only the way down.
The reference walks 250 steps each way, which is the paper's grid here with 250 and 250; the lab's grid has 50 and serves every method.

Both bases must know every level of noise up to T, as those that SDFT and DomainStudio tune do. One that DiffusionCLIP tuned has learned
below its own return step alone, and the result says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import torch

from core.data.edits import check_base
from core.methods.diffusionclip_settings import Grid
from core.methods.fields import setting
from core.methods.translation import Stopwatch, TranslationSettings, generated_images
from core.methods.tuned import TunedModels
from core.methods.walks import start_latents
from core.models.base import Base
from core.process.sampling import generate
from core.process.timesteps import paper_timesteps
from core.types import Context, Edit, EditRequest, EditResult, ShiftlabError, StepEvent


class DDIBSettings(TranslationSettings):
    """How far up one base leads, and in how many steps the other leads down."""

    method: ClassVar[str] = "ddib"

    return_step: int = setting(
        999, "Return step", "Where the bases change: 999 is pure noise (the paper). Lower keeps more.", ge=19, le=999, unit="t", step=20
    )
    back: bool = setting(False, "Backwards", "From the target's domain to the source's: the bases change places.")
    generation_steps: int = setting(
        50, "Generation steps", "Network calls of the target's base.", ge=2, le=1000, unit="steps", step=1, more=True
    )
    grid: Grid = setting("lab", "Inversion grid", "lab: one inversion serves every return step. paper: a new one for each.", more=True)
    inversion_steps: int = setting(
        250, "Inversion steps", "Of the paper's grid; the lab's grid has its own.", ge=2, le=1000, unit="steps", step=1, more=True
    )


class DDIB:
    """Encodes with one base and decodes with another. It trains nothing."""

    edit_settings = DDIBSettings
    train_settings = None

    def __init__(self) -> None:
        self._tuned = TunedModels()

    @torch.no_grad()
    def edit(self, request: EditRequest, context: Context) -> Iterator[StepEvent | EditResult]:
        """Yields "invert" and "generate" events and ends with the EditResult.

        One edit: from the loaded base to the tuned one. Two: from the first tuned base to the second.
        Raises ShiftlabError where there is no edit, more than two, or one of another base, Stopped when asked to stop.
        """
        settings = request.settings
        assert isinstance(settings, DDIBSettings)
        for edit in request.edits:
            check_base(edit.card, context.base.fingerprint, override=settings.any_base)
        source, target = self._bases(request.edits, settings.back, context.base)
        images = request.images.to(source.device)

        watch = Stopwatch()
        upwards = replace(context, base=source)
        steps = min(settings.inversion_steps, settings.return_step + 1)
        latent, cached = yield from start_latents(images, settings.return_step, settings.grid, steps, upwards)
        watch.lap("invert")
        timesteps = paper_timesteps(min(settings.generation_steps, settings.return_step + 1), settings.return_step)
        walk = generate(target.guided(settings.attention_guidance), latent, timesteps, target.schedule)
        x = yield from generated_images(walk, len(timesteps), context)
        watch.lap("generate")
        yield replace(watch.result(request, x, cached, context), note=_too_far_up(request.edits, settings.return_step))

    def _bases(self, edits: tuple[Edit, ...], back: bool, base: Base) -> tuple[Base, Base]:
        """(source, target)."""
        if not edits:
            raise ShiftlabError("DDIB needs a second base. Tune one to the target domain, with SDFT for one, and choose it as the edit.")
        if len(edits) > 2:
            raise ShiftlabError(f"DDIB leads from one base to another, and {len(edits)} edits are chosen. Choose one or two.")
        bases = [self._tuned.of(base, edit) for edit in edits]
        source, target = bases if len(bases) == 2 else (base, bases[0])
        return (target, source) if back else (source, target)


def _too_far_up(edits: tuple[Edit, ...], return_step: int) -> str:
    """A word on edits that were tuned below a lower return step only; empty where there is none."""
    limits = {edit.card.name: edit.card.settings.get("return_step", return_step) for edit in edits}
    low = [f"“{name}” learned below {limit} only" for name, limit in limits.items() if limit < return_step]
    return f"{', '.join(low)}: lower the return step to there, or tune a base with SDFT." if low else ""

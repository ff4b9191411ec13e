"""SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations (Meng et al., ICLR 2022).

An image, strokes, or an image with strokes over it is noised to an intermediate level and denoised again (algorithm 3 for the
variance-preserving process). Enough noise makes it look like the base's images, little enough keeps what it shows. With a mask only a
region changes: everywhere else each step puts back the original, noised with the same draw (algorithm 4).

What differs from the reference code: any number of steps and η (SDFT's table 1 walks 40 DDIM steps from t0 = 500; the reference takes all
t0 steps with η = 1), a base tuned to another domain for translation, and noise of its own for every item of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from core.data.edits import check_base
from core.methods.fields import setting
from core.methods.translation import Stopwatch, TranslationSettings, generated_images, walking_base
from core.methods.tuned import TunedModels
from core.process.ddim import add_noise
from core.process.noise import ItemNoise
from core.process.sampling import Correction, generate
from core.process.schedule import Schedule
from core.process.timesteps import paper_timesteps
from core.types import Context, EditRequest, EditResult, StepEvent


class SDEditSettings(TranslationSettings):
    """How far an image goes into noise, and how it comes back."""

    method: ClassVar[str] = "sdedit"

    return_step: int = setting(
        500, "Return step", "How far into noise. Higher looks more like the target and keeps less.", ge=20, le=1000, unit="t", step=20
    )
    repeats: int = setting(1, "Repeats", "Passes, each on the last one's result. The paper takes up to 3 for strokes.", ge=1, le=10, step=1)
    generation_steps: int = setting(
        40, "Generation steps", "Network calls a pass. The paper takes every one below the return step.", ge=2, le=1000, unit="steps",
        step=1, more=True,
    )  # fmt: skip
    eta: float = setting(
        0.0, "Randomness η", "0: only the start is random (DDIM). 1: every step is (the paper).", ge=0, le=1, step=0.05, more=True
    )


class SDEdit:
    """Redraws images with the base, or with a tuned one. It trains nothing."""

    edit_settings = SDEditSettings
    train_settings = None

    def __init__(self) -> None:
        self._tuned = TunedModels()

    @torch.no_grad()
    def edit(self, request: EditRequest, context: Context) -> Iterator[StepEvent | EditResult]:
        """Yields "generate" events and ends with the EditResult. What is redrawn is `painted` where the request has it, else the images.

        Raises ShiftlabError for an edit of another base or more than one, Stopped when asked to stop.
        """
        settings = request.settings
        assert isinstance(settings, SDEditSettings)
        for edit in request.edits:
            check_base(edit.card, context.base.fingerprint, override=settings.any_base)
        base = walking_base(request.edits, "SDEdit", self._tuned, context.base)
        images = request.images.to(base.device)
        mask = None if request.mask is None else request.mask.to(base.device)
        noise = ItemNoise([request.seed + i for i in range(len(images))], base.device)
        timesteps = timesteps_below(settings.return_step, settings.generation_steps)

        watch = Stopwatch()
        x = images if request.painted is None else request.painted.to(base.device)
        for repeat in range(settings.repeats):
            z = noise.normal(x.shape[1:])
            kept = None if mask is None else _kept(images, mask, z, base.schedule)
            x = add_noise(x, timesteps[-1], z, base.schedule)
            walk = generate(base.guided(settings.attention_guidance), x, timesteps, base.schedule, settings.eta, noise, correct=kept)
            steps = len(timesteps)
            x = yield from generated_images(walk, steps, context, before=repeat * steps, total=settings.repeats * steps)
        watch.lap("generate")
        yield watch.result(request, x, True, context)


def timesteps_below(return_step: int, steps: int) -> list[int]:
    """From 0 to t0 − 1: t0 counts the noise levels, as in the papers' code, which noises with ᾱ at t0 − 1. No more than there are."""
    return paper_timesteps(min(steps, return_step), return_step - 1)


def _kept(images: Tensor, mask: Tensor, z: Tensor, schedule: Schedule) -> Correction:
    """mask·x_n + (1 − mask)·(the image, noised to n with the draw that the walk began with); at the end the image itself."""

    def correct(lower: Tensor, x: Tensor, t: int, n: int) -> Tensor:
        return mask * lower + (1.0 - mask) * add_noise(images, n, z, schedule)

    return correct

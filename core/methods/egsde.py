"""EGSDE: Unpaired Image-to-Image Translation via Energy-Guided Stochastic Differential Equations (Zhao et al., NeurIPS 2022).

SDEdit on a target's base, with two experts that push each step (algorithm 1): a domain classifier away from features that are the source
domain's, and a low-pass filter towards the source image's coarse content. The classifier is this method's own network, trained on source
and target images at every level of noise (egsde_train.py).

What differs from the reference code: any number of steps, the push growing with the step (all M steps give the reference's), η, and noise
of its own for every item of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from core.data.edits import OWN, check_base
from core.methods.domain_classifier import classifier_of
from core.methods.egsde_energy import Energy, guidance
from core.methods.egsde_train import EGSDETune, train, training_work
from core.methods.fields import setting
from core.methods.low_pass import LowPass
from core.methods.sdedit import timesteps_below
from core.methods.translation import Stopwatch, TranslationSettings, generated_images, walking_base
from core.methods.tuned import TunedModels
from core.process.ddim import add_noise
from core.process.noise import ItemNoise
from core.process.sampling import generate
from core.types import Context, Edit, EditRequest, EditResult, Settings, ShiftlabError, StepEvent, TrainRequest, Work


class EGSDESettings(TranslationSettings):
    """How far an image goes into noise, and how hard the two experts push on its way back."""

    method: ClassVar[str] = "egsde"

    return_step: int = setting(
        500, "Return step", "M: how far into noise. Higher looks more like the target and keeps less.", ge=20, le=1000, unit="t", step=20
    )
    lambda_s: float = setting(500.0, "Realism λs", "Push away from features of the source domain.", ge=0, le=5000, step=10)
    lambda_i: float = setting(2.0, "Faithfulness λi", "Push towards the coarse content of the picture.", ge=0, le=50, step=0.1)
    generation_steps: int = setting(
        500, "Generation steps", "Network calls. The paper takes every one below the return step.", ge=2, le=1000, unit="steps",
        step=1, more=True,
    )  # fmt: skip
    eta: float = setting(1.0, "Randomness η", "1: fresh noise at every step (the paper). 0: none.", ge=0, le=1, step=0.05, more=True)
    low_pass: int = setting(
        32, "Low-pass factor N", "Detail finer than so many pixels is free to change. Must divide the picture's side.", ge=2, le=256,
        unit="px", step=1, more=True,
    )  # fmt: skip


class EGSDE:
    """Learns to tell source from target, and carries images across with that knowledge and a base of the target."""

    edit_settings = EGSDESettings
    train_settings = EGSDETune

    def __init__(self) -> None:
        self._tuned = TunedModels()

    def train(self, request: TrainRequest, context: Context) -> Iterator[StepEvent | Edit]:
        """Yields events and ends with the Edit that holds the classifier. See egsde_train.train."""
        return train(request, context)

    def work(self, settings: Settings, images: int, samples: int) -> Work:
        """The network calls of a training, as many of the base's as take as long."""
        assert isinstance(settings, EGSDETune)
        return training_work(settings, images)

    @torch.no_grad()
    def edit(self, request: EditRequest, context: Context) -> Iterator[StepEvent | EditResult]:
        """Yields "generate" events and ends with the EditResult. The edits: the domain classifier and, to reach the target, a tuned base.

        Raises ShiftlabError where the classifier is missing, for an edit of another base, and for an N that does not divide the picture;
        Stopped when asked to stop.
        """
        settings = request.settings
        assert isinstance(settings, EGSDESettings)
        for edit in request.edits:
            check_base(edit.card, context.base.fingerprint, override=settings.any_base)
        tuned = [edit for edit in request.edits if not _is_classifier(edit)]
        base = walking_base(tuned, "EGSDE", self._tuned, context.base)
        images = request.images.to(base.device)
        energy = _energy([edit for edit in request.edits if _is_classifier(edit)], settings, images)
        noise = ItemNoise([request.seed + i for i in range(len(images))], base.device)
        timesteps = timesteps_below(settings.return_step, settings.generation_steps)

        watch = Stopwatch()
        x = add_noise(images, timesteps[-1], noise.normal(images.shape[1:]), base.schedule)
        push = guidance(energy, images, noise, base.schedule)
        walk = generate(base.guided(settings.attention_guidance), x, timesteps, base.schedule, settings.eta, noise, correct=push)
        x = yield from generated_images(walk, len(timesteps), context)
        watch.lap("generate")
        yield watch.result(request, x, True, context)


def _is_classifier(edit: Edit) -> bool:
    return edit.card.weights == OWN and edit.card.method == EGSDESettings.method


def _energy(classifiers: list[Edit], settings: EGSDESettings, images: Tensor) -> Energy:
    low_pass = LowPass(images.shape[-1], settings.low_pass, images.device) if settings.lambda_i else None
    if not settings.lambda_s:
        return Energy(None, low_pass, 0.0, settings.lambda_i)
    if len(classifiers) != 1:
        raise ShiftlabError(
            f"EGSDE needs one domain classifier, and {len(classifiers) or 'none'} is chosen. "
            "Train one on source and target images on the Tune tab and choose it, or set the realism λs to 0."
        )
    return Energy(classifier_of(classifiers[0]).to(images.device).features, low_pass, settings.lambda_s, settings.lambda_i)

"""DATUM: One-shot Unsupervised Domain Adaptation with Personalized Diffusion Models (Benigmim et al., CVPR Workshops 2023).

A text-to-image model learns one target image under a token (datum_personalise.py) and draws the target set from prompts
(datum_generate.py); a segmenter then adapts to that set (core/adaptation). Here is what the Edit and Tune tabs have of it: pictures drawn
from a prompt with the token, from noise alone as in the paper, or from a given picture that was noised to a return step, as SDEdit does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from core.data.images import whole_tensor
from core.methods.datum_batch import resized
from core.methods.datum_generate import denoised, filled
from core.methods.datum_personalise import personalise
from core.methods.datum_settings import DatumTune
from core.methods.datum_student import personalised
from core.methods.fields import prompt, setting
from core.methods.learning import SAMPLES
from core.methods.sdedit import timesteps_below
from core.methods.translation import Stopwatch, TranslationSettings
from core.methods.walks import stop_if_asked
from core.models.text_to_image import TextToImage
from core.process.ddim import add_noise
from core.process.noise import ItemNoise
from core.process.timesteps import leading_timesteps
from core.types import Context, Edit, EditRequest, EditResult, Settings, ShiftlabError, StepEvent, TrainRequest, Work

CALLS_A_CALL = 0.28  # a call of the embedded text-to-image network in the base's: 11 to 38 ms, with gradient 31 to 113, on a CPU thread


class DatumEdit(TranslationSettings):
    """What is drawn, and what from."""

    method: ClassVar[str] = "datum"

    instance_prompt: str = prompt("", "Prompt", "What to draw; {token} is filled in. Empty: what it was trained with.")
    start: Literal["picture", "noise"] = setting(
        "picture", "Start", "picture: noised to the return step. noise: no picture, as in the paper."
    )
    return_step: int = setting(
        600, "Return step", "How far into noise a picture goes. Higher looks more like the target and keeps less.", ge=20, le=1000,
        unit="t", step=20,
    )  # fmt: skip
    guidance: float = setting(7.5, "Guidance", "Pull towards the prompt. 1 means none, and takes half the time.", ge=1, le=30, step=0.5)
    generation_steps: int = setting(
        50,
        "Generation steps",
        "Of a walk from pure noise; from a picture, its share of them.",
        ge=2,
        le=500,
        unit="steps",
        step=1,
        more=True,
    )


class Datum:
    """Learns one portrait and draws with what came of it."""

    edit_settings = DatumEdit
    train_settings = DatumTune

    def __init__(self) -> None:
        self._last: tuple[TextToImage, Edit, TextToImage] | None = None  # model, edit, the model as it made it

    def train(self, request: TrainRequest, context: Context) -> Iterator[StepEvent | Edit]:
        """Yields events and ends with the Edit. What it learns is the first of the request's images. See datum_teach.teach."""
        settings = request.settings
        assert isinstance(settings, DatumTune)
        if not len(request.images):
            raise ShiftlabError("There is no target image to learn from. Add one on the Data tab.")
        return personalise(request.images[0], settings, request.name, request.seed, context)

    def work(self, settings: Settings, images: int, samples: int) -> Work:
        """The calls of a training, as many of the base's as take as long. A sample has two a step: with the prompt and without."""
        assert isinstance(settings, DatumTune)
        looks = math.ceil(settings.steps / settings.checkpoint_every) + 1  # one of the model as it was
        drawn = looks * SAMPLES + (settings.class_images if settings.keeps() else 0)
        pictures = settings.batch_size * (2 if settings.keeps() else 1)
        return Work(
            inference=math.ceil(CALLS_A_CALL * 2 * drawn * settings.sample_steps),
            learning=math.ceil(CALLS_A_CALL * settings.steps * pictures),
            held=max(math.ceil(CALLS_A_CALL * pictures), 1),
            gradient_checkpointing=settings.gradient_checkpointing,
        )

    @torch.no_grad()
    def edit(self, request: EditRequest, context: Context) -> Iterator[StepEvent | EditResult]:
        """Yields "generate" events and ends with the EditResult: a picture for each of the request's, of the same size.

        Raises ShiftlabError for an edit of another model or more than one, Stopped when asked to stop.
        """
        settings = request.settings
        assert isinstance(settings, DatumEdit)
        model = self._model(request, context)
        watch = Stopwatch()
        timesteps = _timesteps(settings, model)
        z = start = _start(request, model, timesteps[-1], context)
        prompts = [_prompt(settings, request.edits)] * len(start)
        for step, lower in denoised(model, start, prompts, timesteps, settings.guidance, context.lock):
            z = lower
            yield StepEvent("generate", step, len(timesteps))
            stop_if_asked(context)
        with context.lock:
            images = _sized(model.to_images(z).clamp(-1.0, 1.0), request.images.shape[-1])
        watch.lap("generate")
        yield watch.result(request, images, True, context)

    def _model(self, request: EditRequest, context: Context) -> TextToImage:
        """The model as the one edit made it, or as it is where there is none; the last one is kept."""
        if len(request.edits) > 1:
            raise ShiftlabError("DATUM draws with one personalised model. Choose one.")
        model = context.text_to_image()
        if not request.edits:
            return model
        edit = request.edits[0]
        if self._last is None or self._last[0] is not model or self._last[1] is not edit:
            self._last = (model, edit, personalised(model, edit, override=request.settings.any_base))
        return self._last[2]


def picture_side(settings: Settings, context: Context) -> int:
    """Pixels a side of the pictures that an edit takes and gives: the text-to-image model's for DATUM, the base's for all others."""
    return context.text_to_image().image_size if isinstance(settings, DatumEdit) else context.base.image_size


def target_image(picture: Image.Image, settings: DatumTune, model: TextToImage) -> Tensor:
    """The picture that a TrainRequest of DATUM has, whole and as large as it is learned: `(1, 3, H, W)` in [-1, 1].

    Raises ShiftlabError for a picture that is smaller than the model's crops.
    """
    return resized(whole_tensor(picture), settings.short_side, model.image_size)[None]


def _timesteps(settings: DatumEdit, model: TextToImage) -> list[int]:
    """All steps from pure noise; from a picture, as many of them as the return step is of the whole way."""
    if settings.start == "noise":
        return leading_timesteps(settings.generation_steps, model.schedule.num_steps)
    share = settings.return_step / model.schedule.num_steps
    return timesteps_below(settings.return_step, max(2, round(share * settings.generation_steps)))


def _start(request: EditRequest, model: TextToImage, t: int, context: Context) -> Tensor:
    """Latents `(B, C, h, w)` at t: noise, or the given pictures with that noise added."""
    noise = ItemNoise([request.seed + i for i in range(len(request.images))], model.device).normal(model.latent_shape)
    if request.settings.start == "noise":
        return noise
    with context.lock:
        z0 = model.to_latents(_sized(request.images.to(model.device), model.image_size))
    return add_noise(z0, t, noise, model.schedule)


def _prompt(settings: DatumEdit, edits: Sequence[Edit]) -> str:
    """The settings' prompt with the edit's token, else the edit's own. Raises ShiftlabError where there is neither."""
    token = edits[0].card.settings.get("token", "") if edits else ""
    text = filled(settings.instance_prompt, token) or (edits[0].card.target_prompt if edits else "")
    if not text:
        raise ShiftlabError("There is no prompt to draw from. Write one, such as “a photo of a person”, or choose a personalised model.")
    return text


def _sized(images: Tensor, side: int) -> Tensor:
    """Square images `(B, 3, S, S)` at another size."""
    if images.shape[-1] == side:
        return images
    return F.interpolate(images, size=(side, side), mode="bicubic", antialias=True).clamp(-1.0, 1.0)

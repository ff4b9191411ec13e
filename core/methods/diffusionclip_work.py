"""How many network calls a DiffusionCLIP fine-tuning makes, counted from its settings alone."""

from __future__ import annotations

import math

from core.methods.diffusionclip_settings import DiffusionCLIPTune
from core.process.timesteps import lab_timesteps
from core.types import Work


def training_work(settings: DiffusionCLIPTune, images: int, samples: int) -> Work:
    """The calls for `images` training images and `samples` sample images, as if no inversion were cached.

    Inversion: S_inv − 1 calls an image. Training: S_train calls an image and epoch, with a loss and an optimizer step after each in
    saving mode, after all in chained mode. Samples: S_test calls each, every `sample_every` batches and once at the end;
    twice as many where they are guided.
    """
    images = min(images, settings.images)
    grid = len(lab_timesteps()) if settings.grid == "lab" else settings.inversion_steps
    batches = math.ceil(images / settings.batch_size) * settings.epochs
    looks = math.ceil(batches / settings.sample_every)
    chain = settings.training_steps if settings.mode == "chained" else 1
    losses = settings.training_steps // chain  # of a batch
    looked_at = looks * samples * settings.sample_steps * (2 if settings.attention_guidance else 1)
    return Work(
        inference=(grid - 1) * (images + samples) + looked_at,
        learning=images * settings.epochs * settings.training_steps,
        held=min(settings.batch_size, images) * chain,
        gradient_checkpointing=settings.gradient_checkpointing,
        updates=batches * losses,
        embedded=images * settings.epochs * losses,
    )

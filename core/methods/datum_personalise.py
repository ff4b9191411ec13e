"""DATUM's first stage (Benigmim et al., CVPRW 2023, section 3.1): DreamBooth (Ruiz et al., CVPR 2023) on one target image.

Each update takes random crops of the image and the prompt with the token, and learns to denoise the crops' latents:
‖ε − ε_θ(z_t, t, "a photo of a V* urban scene")‖², optionally with the same on pictures of the class that the model itself made (prior
preservation).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor

from core.methods.datum_batch import Batch
from core.methods.datum_settings import DatumTune
from core.methods.datum_student import PromptStudent
from core.methods.datum_teach import Keep, Lesson, predicted, teach
from core.types import Context, Edit, StepEvent


def personalise(
    shot: Tensor, settings: DatumTune, name: str, seed: int, context: Context, keep: Keep | None = None
) -> Iterator[StepEvent | Edit]:
    """Learns one image `(3, H, W)` in [-1, 1]. See `teach`."""
    return teach(Lesson([shot], settings, name, seed), lambda model: DatumLosses(settings), context, keep)


class DatumLosses:
    """Denoising of the crops, and of class images where prior preservation is on."""

    def __init__(self, settings: DatumTune) -> None:
        self.settings = settings

    def __call__(self, student: PromptStudent, batch: Batch) -> dict[str, Tensor]:
        parts = [(batch.target, self.settings.filled_prompt())]
        if batch.kept is not None:
            parts.append((batch.kept, self.settings.class_prompt))
        errors = [F.mse_loss(eps, part.noise) for (part, _), eps in zip(parts, predicted(student, parts), strict=True)]
        terms = {"denoising": errors[0]}
        return terms if batch.kept is None else {**terms, "prior": self.settings.prior_weight * errors[1]}

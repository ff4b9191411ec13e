"""The text-to-image variant of DomainStudio (Zhu et al., 2023, section 4.4), on the models and the training loop of DATUM.

L = ‖ε − ε_A(z_t, "a [V] house")‖² + w_prior·‖ε_S(z_pr, "a house") − ε_A(z_pr, "a house")‖²
  + w_pair·KL(p_source ‖ p_adapted) + w_hf_pair·KL(p_source^hf ‖ p_adapted^hf) + w_hf·‖hf(x̂0_A) − hf(x0)‖²

z_pr: noised latents of class images, which the source model made. p: similarities of predicted images, decoded, of the source model for
"a house" and of the adapted one for "a [V] house", both from the same z_pr.

What differs from the published code, which never uses its frozen source: the source S is the model as it was. The last term is limited at
high noise, as in the unconditional variant (domainstudio_train.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from core.methods.datum_batch import Batch, Noised
from core.methods.datum_settings import OneShotTune
from core.methods.datum_student import PromptStudent
from core.methods.datum_teach import Keep, Lesson, predicted, teach
from core.methods.domainstudio_losses import high_frequencies, high_frequency_error, limited, pairwise_loss
from core.methods.fields import prompt, setting
from core.models.text_to_image import TextToImage
from core.process.ddim import predict_x0
from core.types import Context, Edit, ShiftlabError, StepEvent

FEWEST = 3  # pictures of a batch: with two there is one other, and its share is always 1


class PromptDomainStudioTune(OneShotTune):
    """How a text-to-image model is tuned to about ten pictures of one thing. Rate, updates and class images are the paper's."""

    method: ClassVar[str] = "domainstudio_text"

    instance_prompt: str = prompt("a {token} house", "Prompt", "Of the target images; {token} is filled in.")
    class_prompt: str = prompt("a house", "Class prompt", "The same without the token: what the model draws already.")
    steps: int = setting(800, "Updates", "Steps of the optimizer. Too many copy the images.", ge=1, le=100_000, step=1)
    learning_rate: float = setting(5e-6, "Learning rate", "Of AdamW, constant.", gt=0, le=1e-1)
    batch_size: int = setting(4, "Batch size", "Pictures an update, compared with one another: 3 at least.", ge=FEWEST, le=256, step=1)
    rank: int = setting(0, "Rank of adapters", "Of LoRA. 0 trains every weight, as the paper does.", ge=0, le=256, step=1)
    w_prior: float = setting(1.0, "Weight of the prior", "Pull to what the model drew before.", ge=0, le=1000)
    w_pair: float = setting(4.0, "Weight of similarity", "Pull to the source's variety, seen in whole pictures.", ge=0, le=1000)
    w_hf_pair: float = setting(4.0, "Weight of similarity in details", "The same of their high frequencies.", ge=0, le=1000)
    w_hf: float = setting(1.0, "Weight of details", "Pull to the high frequencies of the target pictures.", ge=0, le=1000)
    hf_limit: float = setting(
        5.0, "Limit of details", "At high noise the error of details grows as 1/SNR, up to here.", ge=0.01, le=100_000, more=True
    )


def tune_domainstudio(
    shots: Sequence[Tensor], settings: PromptDomainStudioTune, name: str, seed: int, context: Context, keep: Keep | None = None
) -> Iterator[StepEvent | Edit]:
    """Learns a few images, each `(3, H, W)` in [-1, 1]. See `teach`."""
    if not shots:
        raise ShiftlabError("There are no target images to learn from. Add some on the Data tab.")
    return teach(Lesson(shots, settings, name, seed), lambda model: PromptDomainStudioLosses(settings, model), context, keep)


class PromptDomainStudioLosses:
    """The loss against one source model. Terms of weight 0 are not computed."""

    def __init__(self, settings: PromptDomainStudioTune, source: TextToImage) -> None:
        self.settings, self.source = settings, source
        self.before = source.embed([settings.class_prompt])

    def __call__(self, student: PromptStudent, batch: Batch) -> dict[str, Tensor]:
        s, kept = self.settings, batch.kept
        assert kept is not None, "class images are always there: see OneShotTune.keeps"
        with torch.no_grad():
            source = self.source.eps(kept.z, kept.t, self.before.expand(len(kept.z), -1, -1))
        pairs = [(kept, s.filled_prompt())] if s.w_pair or s.w_hf_pair else []
        eps, eps_prior, *eps_pair = predicted(student, [(batch.target, s.filled_prompt()), (kept, s.class_prompt), *pairs])
        terms = {"denoising": F.mse_loss(eps, batch.target.noise), "prior": s.w_prior * F.mse_loss(eps_prior, source)}
        if eps_pair:
            terms |= self._similarity(_decoded(student, kept, source), _decoded(student, kept, eps_pair[0]))
        if s.w_hf:
            error = high_frequency_error(_decoded(student, batch.target, eps), batch.crops)
            terms["details"] = s.w_hf * (limited(self.source.schedule.snr(batch.target.t), s.hf_limit) * error).mean()
        return terms

    def _similarity(self, source: Tensor, adapted: Tensor) -> dict[str, Tensor]:
        """The pairwise terms of images `(B, 3, H, W)`."""
        return {
            "similarity": self.settings.w_pair * pairwise_loss(source, adapted),
            "similarity of details": self.settings.w_hf_pair * pairwise_loss(high_frequencies(source), high_frequencies(adapted)),
        }


def _decoded(student: PromptStudent, noised: Noised, eps: Tensor) -> Tensor:
    """The predicted image `(B, 3, H, W)`, by the student's decoder, which keeps gradients out of half precision."""
    return student.model.to_images(predict_x0(noised.z, eps, student.model.schedule.alpha_bar_at(noised.t)))

"""The loss of DomainStudio on a batch, unconditional variant (Zhu et al., 2023, eq. 10).

L = ‖ε − ε_A‖² + L_vlb + w_pair·KL(p_source ‖ p_adapted) + w_hf_pair·KL(p_source^hf ‖ p_adapted^hf) + w_hf·‖hf(x̂0_adapted) − hf(x0)‖²,
the same x_t going into the source and the adapted model.

What differs from the published code: the last term is limited at high noise, where its factor 1/SNR_t would drown all others.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from core.methods.domainstudio_losses import high_frequencies, high_frequency_error, limited, pairwise_loss
from core.methods.domainstudio_settings import FEWEST, DomainStudioTune
from core.methods.sdft_losses import squared_error
from core.methods.student import Student
from core.methods.target_train import Noised, train, training_work
from core.models.base import Base
from core.process.ddim import predict_x0
from core.process.vlb import vlb_term
from core.types import Context, Edit, ShiftlabError, StepEvent, TrainRequest, Work


def train_domainstudio(request: TrainRequest, context: Context) -> Iterator[StepEvent | Edit]:
    """See target_train.train."""
    settings = request.settings
    assert isinstance(settings, DomainStudioTune)
    if min(len(request.images), settings.batch_size) < FEWEST:
        raise ShiftlabError(f"DomainStudio compares pictures with one another and needs {FEWEST} at a time. Add target images.")
    return train(request, DomainStudioLosses(settings, context.base), context)


def domainstudio_work(settings: DomainStudioTune) -> Work:
    """One call an image, of the source model as well where it is compared with."""
    return training_work(settings, 1, 1 if settings.w_pair or settings.w_hf_pair else 0)


class DomainStudioLosses:
    """The loss for one base, which is the source model. Terms of weight 0 are not computed."""

    def __init__(self, settings: DomainStudioTune, base: Base) -> None:
        self.settings, self.base = settings, base

    def __call__(self, student: Student, batch: Noised) -> dict[str, Tensor]:
        s, schedule = self.settings, self.base.schedule
        eps, variance = student.outputs(batch.x, batch.t)
        adapted = predict_x0(batch.x, eps, schedule.alpha_bar_at(batch.t))
        terms = {"denoising": squared_error(batch.noise, eps).mean()}
        if s.w_pair or s.w_hf_pair:
            with torch.no_grad():
                source = predict_x0(batch.x, self.base.eps(batch.x, batch.t), schedule.alpha_bar_at(batch.t))
        if s.w_pair:
            terms["similarity"] = s.w_pair * pairwise_loss(source, adapted)
        if s.w_hf_pair:
            terms["similarity of details"] = s.w_hf_pair * pairwise_loss(high_frequencies(source), high_frequencies(adapted))
        if s.w_hf:
            error = limited(schedule.snr(batch.t), s.hf_limit) * high_frequency_error(adapted, batch.x0)
            terms["details"] = s.w_hf * error.mean()
        if variance is not None:
            terms["bound"] = vlb_term(batch.x0, batch.x, batch.t, eps, variance, schedule).mean()
        return terms

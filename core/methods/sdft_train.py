"""The loss of SDFT on a batch (Hur et al., WACV 2024, eq. 9 and algorithm 1): denoising, and two pulls to the frozen source model.

L = ‖ε − ε_S(x_t, t)‖² + λ_d·w_γd(t)·‖ε_T(x_t, t) − ε_S(x_t, t)‖² + λ_a·w_γa(t)·‖ε_T(z, t) − ε_S(z, t)‖², with z the very draw that
built x_t, and the variational bound where the network learns its variance.

What differs from the published code: the average of the weights is shorter in the first updates, so that a short training is not mostly
its source; networks that predict velocity (named as future work) compare velocities: ‖v_T − v_S‖² = ‖ε_T − ε_S‖² / ᾱ_t at the same x.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from core.methods.sdft_losses import distillation, squared_error
from core.methods.sdft_settings import SDFTTune
from core.methods.student import Student
from core.methods.target_train import Noised, train, training_work
from core.models.base import Base
from core.process.vlb import vlb_term
from core.types import Context, Edit, StepEvent, TrainRequest, Work


def train_sdft(request: TrainRequest, context: Context) -> Iterator[StepEvent | Edit]:
    """See target_train.train."""
    settings = request.settings
    assert isinstance(settings, SDFTTune)
    return train(request, SDFTLosses(settings, context.base), context, settings.start)


def sdft_work(settings: SDFTTune) -> Work:
    """Two calls an image where there is an auxiliary term, of the teacher as many where there is one."""
    calls = 2 if settings.lambda_a else 1
    return training_work(settings, calls, calls if settings.lambda_a or settings.lambda_d else 0)


class SDFTLosses:
    """The loss for one base, which is the teacher. Terms of weight 0 are not computed; without any the teacher is not asked."""

    def __init__(self, settings: SDFTTune, base: Base) -> None:
        self.settings, self.base = settings, base
        self.velocity = base.prediction == "v_prediction" and settings.errors_of == "prediction"

    def __call__(self, student: Student, batch: Noised) -> dict[str, Tensor]:
        s, count = self.settings, len(batch.t)
        x, t = (torch.cat([batch.x, batch.noise]), batch.t.repeat(2)) if s.lambda_a else (batch.x, batch.t)
        eps, variance = student.outputs(x, t)
        terms = {"denoising": squared_error(batch.noise, eps[:count])}
        if s.lambda_d or s.lambda_a:
            with torch.no_grad():
                taught = self.base.eps(x, t)
        if s.lambda_d:
            terms["distillation"] = self._pull(taught[:count], eps[:count], batch.t, s.lambda_d, s.gamma_d)
        if s.lambda_a:
            terms["auxiliary"] = self._pull(taught[count:], eps[count:], batch.t, s.lambda_a, s.gamma_a)
        if self.velocity:
            terms = {name: term / self.base.schedule.alpha_bar_at(batch.t) for name, term in terms.items()}
        if variance is not None:
            terms["bound"] = vlb_term(batch.x0, batch.x, batch.t, eps[:count], variance[:count], self.base.schedule)
        return {name: term.mean() for name, term in terms.items()}

    def _pull(self, teacher: Tensor, student: Tensor, t: Tensor, strength: float, gamma: float) -> Tensor:
        """The pull `(B,)`. Min-SNR of velocities, min(SNR, 5)/(SNR + 1), is that of ε times ᾱ."""
        pull = distillation(teacher, student, t, strength, gamma, self.base.schedule, self.settings.weighting)
        return pull * self.base.schedule.alpha_bar_at(t) if self.velocity and self.settings.weighting == "min_snr_5" else pull

"""The settings of SDFT, with the paper's defaults for MetFaces (Hur et al., WACV 2024, Table 5), and of the baselines beside it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from core.methods.fields import setting
from core.methods.sdedit import SDEditSettings
from core.methods.target_settings import TargetTune

Weighting = Literal["sdft", "constant", "min_snr_5"]


class SDFTEdit(SDEditSettings):
    """How an image is carried across with a tuned base: SDEdit, whose defaults are this paper's (40 DDIM steps from 0.5·T, Table 1)."""

    method: ClassVar[str] = "sdft"


class SDFTTune(TargetTune):
    """How a base is fine-tuned on a target set. λ_d = λ_a = 0 is naive fine-tuning; with random weights, training from scratch."""

    method: ClassVar[str] = "sdft"

    lambda_d: float = setting(0.1, "Distillation λ_d", "Pull to the source model on noised pictures. 0: none.", ge=0, le=10, step=0.05)
    lambda_a: float = setting(0.1, "Auxiliary λ_a", "Pull to the source model on pure noise. 0: none.", ge=0, le=10, step=0.05)
    gamma_d: float = setting(3.0, "Exponent γ_d", "Higher keeps the distillation to higher noise.", ge=0, le=100, step=0.5, more=True)
    gamma_a: float = setting(50.0, "Exponent γ_a", "The same of the auxiliary term.", ge=0, le=100, step=0.5, more=True)
    weighting: Weighting = setting(
        "sdft", "Weighting", "Of both pulls over the timesteps. constant, min_snr_5: the paper's comparisons, without exponents.", more=True
    )
    start: Literal["source", "scratch"] = setting(
        "source", "Start", "source: the base's weights. scratch: random ones, to see what the base is worth.", more=True
    )
    errors_of: Literal["prediction", "noise"] = setting(
        "prediction", "Errors of", "For bases that predict velocity: compare velocities, or the noise that follows from them.", more=True
    )

    @model_validator(mode="after")
    def _something_to_adapt(self) -> SDFTTune:
        if self.start == "scratch" and self.rank:
            raise ValueError("adapters need a trained network: choose rank 0, or start from the source")
        return self

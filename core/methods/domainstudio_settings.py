"""The settings of DomainStudio's unconditional variant (Zhu et al., 2023, section 4). Weights are the paper's; steps and rate are ours."""

from __future__ import annotations

from typing import ClassVar

from core.methods.fields import setting
from core.methods.sdedit import SDEditSettings
from core.methods.target_settings import TargetTune


class DomainStudioEdit(SDEditSettings):
    """How an image is carried across with a tuned base: as SDEdit does it."""

    method: ClassVar[str] = "domainstudio"


FEWEST = 3  # images of a batch: with two there is one other, and its share is always 1


class DomainStudioTune(TargetTune):
    """How a base is fine-tuned on about ten target images."""

    method: ClassVar[str] = "domainstudio"

    images: int = setting(10, "Target images", "The first so many of the target set. The paper takes 10.", ge=3, le=100_000, step=1)
    steps: int = setting(500, "Updates", "Steps of the optimizer. Too many copy the target images.", ge=1, le=200_000, step=1)
    batch_size: int = setting(8, "Batch size", "Pictures an update, compared with one another: 3 at least.", ge=FEWEST, le=256, step=1)
    w_pair: float = setting(4.0, "Weight of similarity", "Pull to the source's variety, seen in whole pictures.", ge=0, le=1000)
    w_hf_pair: float = setting(4.0, "Weight of similarity in details", "The same of their high frequencies.", ge=0, le=1000)
    w_hf: float = setting(1.0, "Weight of details", "Pull to the high frequencies of the target pictures.", ge=0, le=1000)
    hf_limit: float = setting(
        5.0, "Limit of details", "At high noise the error of details grows as 1/SNR, up to here.", ge=0.01, le=100_000, more=True
    )

    def least_batch(self) -> int:
        """See `Settings.least_batch`."""
        return FEWEST

"""SDFT: Expanding Expressiveness of Diffusion Models with Limited Data via Self-Distillation based Fine-Tuning (Hur et al., WACV 2024).

A base is fine-tuned on a limited target set while its former self teaches what the set lacks; see sdft_train.py. Images are carried across
as in the paper's Table 1, by SDEdit with the tuned base.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.methods.sdedit import SDEdit
from core.methods.sdft_settings import SDFTEdit, SDFTTune
from core.methods.sdft_train import sdft_work, train_sdft
from core.types import Context, Edit, EditRequest, EditResult, Settings, ShiftlabError, StepEvent, TrainRequest, Work


class SDFT:
    """Tunes a base to a target set, and translates with what came of it."""

    edit_settings = SDFTEdit
    train_settings = SDFTTune

    def __init__(self) -> None:
        self._translation = SDEdit()

    def train(self, request: TrainRequest, context: Context) -> Iterator[StepEvent | Edit]:
        """Yields "train" and "sample" events and ends with the Edit. See target_train.train."""
        return train_sdft(request, context)

    def edit(self, request: EditRequest, context: Context) -> Iterator[StepEvent | EditResult]:
        """SDEdit.edit with the tuned base. Raises ShiftlabError where there is none."""
        if not request.edits:
            raise ShiftlabError(
                "SDFT carries images across with a tuned base, and none is chosen. Choose one, or tune one on the Tune tab."
            )
        return self._translation.edit(request, context)

    def work(self, settings: Settings, images: int, samples: int) -> Work:
        """The network calls of a training, which depend on the settings alone."""
        assert isinstance(settings, SDFTTune)
        return sdft_work(settings)

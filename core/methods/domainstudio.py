"""DomainStudio: Fine-Tuning Diffusion Models for Domain-Driven Image Generation using Limited Data (Zhu et al., 2023).

A base is fine-tuned on about ten target images, and keeps its variety because its images stay as similar to one another as the source's;
see domainstudio_train.py. Images are carried across by SDEdit with the tuned base.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.methods.domainstudio_settings import DomainStudioEdit, DomainStudioTune
from core.methods.domainstudio_train import domainstudio_work, train_domainstudio
from core.methods.sdedit import SDEdit
from core.types import Context, Edit, EditRequest, EditResult, Settings, ShiftlabError, StepEvent, TrainRequest, Work


class DomainStudio:
    """Tunes a base to a few target images, and translates with what came of it."""

    edit_settings = DomainStudioEdit
    train_settings = DomainStudioTune

    def __init__(self) -> None:
        self._translation = SDEdit()

    def train(self, request: TrainRequest, context: Context) -> Iterator[StepEvent | Edit]:
        """Yields "train" and "sample" events and ends with the Edit. See target_train.train."""
        return train_domainstudio(request, context)

    def edit(self, request: EditRequest, context: Context) -> Iterator[StepEvent | EditResult]:
        """SDEdit.edit with the tuned base. Raises ShiftlabError where there is none."""
        if not request.edits:
            raise ShiftlabError(
                "DomainStudio carries images across with a tuned base, and none is chosen. Choose one, or fine-tune one on the Tune tab."
            )
        return self._translation.edit(request, context)

    def work(self, settings: Settings, images: int, samples: int) -> Work:
        """The network calls of a training, which depend on the settings alone."""
        assert isinstance(settings, DomainStudioTune)
        return domainstudio_work(settings)

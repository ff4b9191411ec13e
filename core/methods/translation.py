"""What SDEdit, EGSDE and DDIB share: their common settings, the tuned base that they walk with, and how they end.

None of them trains a network of its own for the way down: they carry images across with a base that was tuned to the target, by SDFT,
DomainStudio or DiffusionCLIP, and the tuned base comes as an edit.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence

from torch import Tensor

from core.data.edits import OWN
from core.methods.fields import attention_guidance, prompt, setting
from core.methods.scores import direction_of, edit_scores
from core.methods.tuned import TunedModels
from core.methods.walks import locked, stop_if_asked
from core.models.base import Base
from core.models.fingerprint import fingerprints
from core.types import Context, Edit, EditRequest, EditResult, Settings, ShiftlabError, StepEvent


class TranslationSettings(Settings):
    """The fields that all three have."""

    reference_prompt: str = prompt("", "Reference prompt", "What the picture shows now, for the score. Empty: the edit's own prompt.")
    target_prompt: str = prompt("", "Target prompt", "What it shall become, for the score. Empty: the edit's own prompt.")
    attention_guidance: float = attention_guidance()
    any_base: bool = setting(False, "Use on another base", "Applies an edit although it was made for another base.", more=True)


def walking_base(edits: Sequence[Edit], method: str, tuned: TunedModels, base: Base) -> Base:
    """The base tuned by the one edit that is there, or the base itself where there is none. Raises ShiftlabError for more than one."""
    if len(edits) > 1:
        names = ", ".join(repr(edit.card.name) for edit in edits)
        raise ShiftlabError(f"{method} walks with one tuned base, and there are several: {names}. Choose one.")
    return tuned.of(base, edits[0]) if edits else base


def generated_images(
    walk: Iterator[tuple[int, Tensor]], steps: int, context: Context, *, before: int = 0, total: int | None = None
) -> Generator[StepEvent, None, Tensor]:
    """Walks down `steps` steps with the lock taken anew for each; returns the images `(B, 3, H, W)` in [-1, 1].

    Yields "generate" events, numbered from `before` + 1 up to `total`, of which the last shows the images.
    """
    total = total or steps
    x = None
    for step, lower in locked(walk, context.lock):
        x = lower if step < steps else lower.clamp(-1.0, 1.0)
        yield StepEvent("generate", before + step, total, images=x if before + step == total else None)
        stop_if_asked(context)
    assert x is not None, "a walk has at least one step"
    return x


class Stopwatch:
    """Seconds by phase, from the moment it is made."""

    def __init__(self) -> None:
        self.timing: dict[str, float] = {}
        self._began = self._last = time.perf_counter()

    def lap(self, phase: str) -> None:
        """The time since the last lap was that of `phase`."""
        now = time.perf_counter()
        self.timing[phase], self._last = now - self._last, now

    def result(self, request: EditRequest, edited: Tensor, cached: bool, context: Context) -> EditResult:
        """The edited images `(B, 3, H, W)`, scored against the request's own, with the times so far."""
        settings = request.settings
        assert isinstance(settings, TranslationSettings)
        card = next((edit.card for edit in reversed(request.edits) if edit.card.weights != OWN), None)
        reference = settings.reference_prompt or (card.reference_prompt if card else "")
        target = settings.target_prompt or (card.target_prompt if card else "")
        with context.lock:
            scores = edit_scores(request.images.to(edited.device), edited, direction_of(reference, target, context), context)
        timing = {**self.timing, "cached": float(cached), "total": time.perf_counter() - self._began}
        return EditResult(edited, scores, timing, models=fingerprints(context))

"""How far a job is and when it will be done, from the events of its method."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import fmean, median

from core.types import StepEvent

WINDOW = 50  # steps that the pace is taken from
PAUSE = 5.0  # a step this many times longer than the median was a pause (a preview, a laptop asleep) or the first, slow one
PHASES = {
    "invert": "Inverting the pictures", "encode": "Encoding the pictures", "sample": "Drawing samples", "adapt": "Adapting the pictures",
    "read": "Reading the pictures", "audit": "Auditing the labels", "measure": "Measuring the base's curve",
    "average": "Averaging the shifts", "features": "Looking at the pictures through noise", "carry": "Carrying the labelled scenes",
}  # fmt: skip


def duration(seconds: float) -> str:
    """Such as "8 s", "2 min 5 s" or "3 h 20 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 and whole % 60 else f"{round(whole / 60)} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Progress:
    """Counts the steps of the present phase. `clock` gives monotonic seconds.

    step, total: of the phase. eta_s: seconds to the phase's end, None before its second step. message: names a phase that is not training.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._phase = ""
        self._last: float | None = None
        self._durations: deque[float] = deque(maxlen=WINDOW)
        self.step = self.total = 0
        self.message = ""

    def note(self, event: StepEvent) -> None:
        """Takes in one event. A "sample" only says that the training stands still: its time is no step's."""
        now = self._clock()
        if event.phase == "sample":
            self._last = now
            return
        if event.phase != self._phase:
            self._phase = event.phase
            self._durations.clear()
        elif self._last is not None:
            self._durations.append((now - self._last) / max(1, event.step - self.step))  # an event may stand for a batch of steps
        self._last = now
        self.step, self.total = event.step, event.total
        self.message = f"{PHASES[event.phase]}: {event.step} of {event.total}." if event.phase in PHASES else ""

    @property
    def eta_s(self) -> float | None:
        """The mean of the recent steps that were no pauses, times the steps that are left."""
        if not self._durations:
            return None
        usual = median(self._durations)
        return fmean(d for d in self._durations if d <= PAUSE * usual) * (self.total - self.step)

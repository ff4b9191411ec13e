"""Runs an edit for the page: reports its steps, stops as soon as a newer request makes it stale, ends with a Shot."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from core.data.images import to_pil
from core.types import EditResult, StepEvent
from ui.requests import Plan
from ui.session import Shot

REPORT_EVERY = 0.5  # seconds between two progress lines; each takes the server a third of a network step, and the browser more
PHASES = {"measure": "Measuring", "invert": "Inverting", "encode": "Encoding", "average": "Averaging", "generate": "Generating"}


@dataclass(frozen=True)
class Progress:
    """One line for the person who waits."""

    text: str
    fraction: float


def watch(lab: Any, plan: Plan, is_current: Callable[[], bool], coarse: bool = False) -> Iterator[Progress | Shot]:
    """Yields Progress now and then and one Shot at the end; ends without a Shot when `is_current()` turns false.

    A coarse Shot is the first picture that the method shows, not scored: scoring takes about as long as a few steps.
    """
    begun = last = time.monotonic()
    asked = plan.coarse() if coarse else plan
    with closing(lab.edit(asked.request(lab))) as events:
        for event in events:
            if not is_current():
                return
            if isinstance(event, EditResult):
                yield _shot(lab, plan, event, coarse, time.monotonic() - begun)
            elif coarse and event.images is not None:
                yield _shot(lab, plan, EditResult(event.images, [], {}), coarse, time.monotonic() - begun)
                return
            elif isinstance(event, StepEvent) and time.monotonic() - last >= REPORT_EVERY:
                last = time.monotonic()
                phase = PHASES.get(event.phase, event.phase.capitalize())
                yield Progress(f"{phase} {event.step} of {event.total}", event.step / event.total)


def _shot(lab: Any, plan: Plan, result: EditResult, coarse: bool, seconds: float) -> Shot:
    return Shot(
        picture=plan.picture,
        before=plan.square(lab),
        after=to_pil(result.images[0]),
        record=plan.record(lab),
        scores=dict(result.scores[0]) if result.scores else {},
        timing={**result.timing, "total": seconds},
        title=plan.title,
        coarse=coarse,
    )

"""Edits and trainings that go on when memory runs out, with a note that says how.

First all networks that are idle go to the CPU's memory; then an edit takes fewer pictures at once, and a training a thriftier mode.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import TypeVar

import torch

from core.models.base import park_all
from core.models.memory import is_out_of_memory, release
from core.types import Context, Edit, EditRequest, EditResult, Method, Settings, ShiftlabError, StepEvent, TrainRequest

T = TypeVar("T")
_RAN_OUT = "Memory ran out"
IDLE = f"{_RAN_OUT}: idle networks wait in the CPU's memory now."
OUT_OF_MEMORY = "The device ran out of memory."


def lighter(settings: Settings, *, resumed: bool = False) -> tuple[Settings, str] | None:
    """The next thriftier settings of a training and what to tell, or None where nothing is left.

    First what changes no result (gradient checkpointing), then a smaller batch, then the saving mode. resumed: a training that has
    saved steps keeps its batch size, for its count of steps depends on it.
    """
    if getattr(settings, "gradient_checkpointing", None) is False:
        return settings.model_copy(update={"gradient_checkpointing": True}), f"{_RAN_OUT}: gradient checkpointing is on now."
    batch, least = getattr(settings, "batch_size", 1), settings.least_batch()
    if batch > least and not resumed:
        less = max(batch // 2, least)
        return settings.model_copy(update={"batch_size": less}), f"{_RAN_OUT}: the batch is {less} instead of {batch} now."
    if getattr(settings, "mode", None) == "chained":
        return settings.model_copy(update={"mode": "saving"}), f"{_RAN_OUT}: the saving mode is on now."
    return None


def train_within_memory(method: Method, request: TrainRequest, context: Context) -> Iterator[StepEvent | Edit]:
    """`method.train`, begun again with lighter settings each time memory runs out. The edit's card has the settings that were used.

    Raises ShiftlabError when the lightest settings are still too much.
    """
    notes: list[str] = []
    while True:
        events = method.train(request, context)
        while (event := _next(events)) is not None:
            if isinstance(event, Edit) and notes:
                note = " ".join([event.card.note, *notes]).strip()
                event = replace(event, card=event.card.model_copy(update={"note": note}))
            yield event
            if isinstance(event, Edit):
                return
        if _offload(context) and IDLE not in notes:
            notes.append(IDLE)
            yield StepEvent("train", 0, 0, note=IDLE)
            continue
        less = lighter(request.settings, resumed=context.checkpoints.load() is not None)
        if less is None:
            raise ShiftlabError(f"{OUT_OF_MEMORY} The lightest settings are too much: end what else runs on it, or use a smaller base.")
        request = replace(request, settings=less[0])
        notes.append(less[1])
        yield StepEvent("train", 0, 0, note=less[1])


def edit_within_memory(
    method: Method, request: EditRequest, context: Context, *, offloaded: bool = False
) -> Iterator[StepEvent | EditResult]:
    """`method.edit`, with the pictures in halves each time memory runs out. Every picture has its own seed, so the result is the same.

    offloaded: whether idle networks were sent away for this request already. Raises ShiftlabError when a single picture is too much.
    """
    events = method.edit(request, context)
    while (event := _next(events)) is not None:
        yield event
        if isinstance(event, EditResult):
            return
    if _offload(context) and not offloaded:
        result = yield from _until_result(edit_within_memory(method, request, context, offloaded=True))
        yield replace(result, note=f"{IDLE} {result.note}".strip())
        return
    half = len(request.images) // 2
    if not half:
        raise ShiftlabError(f"{OUT_OF_MEMORY} One picture alone is too much: end what else runs on it, or use the CPU.")
    parts = [request.part(0, half), request.part(half, len(request.images))]
    results = []
    for part in parts:
        results.append((yield from _until_result(edit_within_memory(method, part, context, offloaded=True))))
    yield _joined(results, f"{_RAN_OUT}: the pictures go in groups of {half} or fewer.")


def _offload(context: Context) -> bool:
    """Sends idle networks to the CPU's memory and gives back what the failed attempt held. Returns whether there were any."""
    with context.lock:
        moved = park_all()
    release()
    return moved


def _next(events: Iterator[T]) -> T | None:
    """The next event, or None when memory ran out; the exception, which holds tensors, is gone by then."""
    try:
        return next(events)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return None
    except StopIteration as end:
        raise ShiftlabError("The method ended without a result. Start it again.") from end


def _until_result(events: Iterator[StepEvent | EditResult]) -> Generator[StepEvent, None, EditResult]:
    for event in events:
        if isinstance(event, EditResult):
            return event
        yield event
    raise ShiftlabError("The edit ended without a result. Start it again.")


def _joined(results: list[EditResult], note: str) -> EditResult:
    """Results of parts as one, in order."""
    first = results[0]
    timing = {key: sum(result.timing.get(key, 0.0) for result in results) for key in first.timing}
    if "cached" in timing:
        timing["cached"] = min(result.timing["cached"] for result in results)
    scores = [score for result in results for score in result.scores]
    said = " ".join(filter(None, dict.fromkeys([note, *(result.note for result in results)])))
    return EditResult(torch.cat([result.images for result in results]), scores, timing, said, first.models)

"""The same images edited with each of several strengths, from one inversion: a strip from −c to +c."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from core.methods.asyrp import Asyrp
from core.types import Context, EditRequest, EditResult, Method, StepEvent


def at_strengths(method: Method, request: EditRequest, strengths: Sequence[float], context: Context) -> Iterator[StepEvent | EditResult]:
    """Yields events and one EditResult a strength, in their order. The method's settings must have a field `strength`."""
    if isinstance(method, Asyrp):  # which knows itself how to keep everything but the strength
        yield from method.strip(request, strengths, context)
        return
    for strength in strengths:
        yield from method.edit(replace(request, settings=request.settings.model_copy(update={"strength": strength})), context)

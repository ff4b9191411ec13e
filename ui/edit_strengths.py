"""The strip of strengths: one picture at every strength from −c to +c, or from 0 to 1 where a method knows no opposite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from PIL import Image

from core.data.images import to_pil
from core.data.pictures import enlarge
from core.types import Settings, StepEvent
from ui.forms import bounds
from ui.numbers import number
from ui.requests import Plan

FIELD = "strength"
PICTURES = 7
THUMBNAIL = 192


def has_strength(settings_class: type[Settings]) -> bool:
    return FIELD in settings_class.model_fields


def strengths(settings: Settings) -> list[float]:
    """PICTURES values, evenly: from −c to +c for the present strength c (1 where it is 0), else over the whole range."""
    low, high = bounds(type(settings).model_fields[FIELD])
    assert low is not None and high is not None
    if low < 0:
        high = min(high, abs(getattr(settings, FIELD)) or 1.0)
        low = max(low, -high)
    return [round(low + (high - low) * k / (PICTURES - 1), 3) for k in range(PICTURES)]


def strength_pictures(lab: Any, plan: Plan, is_current: Any) -> Iterator[list[tuple[Image.Image, str]]]:
    """The strip so far, after each of its pictures; they are as coarse as a first look. Ends early when `is_current()` turns false.

    All start from one inversion, with the same noise.
    """
    strip: list[tuple[Image.Image, str]] = []
    values = strengths(plan.settings)
    with closing(lab.strip(plan.coarse().request(lab), values)) as events:
        for event in events:
            if not is_current():
                return
            if isinstance(event, StepEvent) and event.images is not None:
                value = values[len(strip)]
                strip.append((enlarge(to_pil(event.images[0]), THUMBNAIL), number(value, "+g") if value else "0"))
                yield list(strip)

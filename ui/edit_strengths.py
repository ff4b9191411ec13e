"""The strip of strengths: one picture at every strength from −c to +c, or from 0 to 1 where a method knows no opposite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from PIL import Image

from core.data.pictures import enlarge
from core.types import Settings
from ui.forms import bounds
from ui.preview import watch
from ui.requests import Plan
from ui.session import Shot

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
    """The strip so far, after each of its pictures; they are as coarse as a first look. Ends early when `is_current()` turns false."""
    strip: list[tuple[Image.Image, str]] = []
    for value in strengths(plan.settings):
        asked = replace(plan, settings=plan.settings.model_copy(update={FIELD: value}))
        for seen in watch(lab, asked, is_current, coarse=True):
            if isinstance(seen, Shot):
                strip.append((enlarge(seen.after, THUMBNAIL), f"{value:+g}" if value else "0"))
                yield list(strip)

"""What a page was told already, so that only what changed is sent again; and how handlers of steps are written."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Values = Mapping[Any, Any]
Updates = dict[Any, Any]
MISSING = object()
IN_FLIGHT = 3.0  # seconds that an event's answer may take: a timer's goes another way, overtakes it, and would be painted over by it


@dataclass(kw_only=True)
class Told:
    """By name what was told last, when, and when it is told once more. Changed in place."""

    told: dict[str, Any] = field(default_factory=dict)
    when: dict[str, float] = field(default_factory=dict)
    again: dict[str, float] = field(default_factory=dict)

    def new(self, name: str, value: Any) -> bool:
        """Whether this is told for the first time; or once more, where something else was told so shortly before that it may come after."""
        now = time.monotonic()
        if self.told.get(name, MISSING) != value:
            if now - self.when.get(name, -math.inf) < IN_FLIGHT:
                self.again[name] = now + IN_FLIGHT
            self.told[name], self.when[name] = value, now
            return True
        if now < self.again.get(name, math.inf):
            return False
        del self.again[name]
        return True

    def shows(self, name: str, value: Any) -> None:
        """The page shows this. Where that is not what was told last, an older answer has come after it, and it is told again."""
        if self.told.get(name, value) != value:
            del self.told[name]

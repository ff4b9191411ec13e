"""What a page was told already, so that only what changed is sent again; and how handlers of steps are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Values = Mapping[Any, Any]
Updates = dict[Any, Any]
MISSING = object()


@dataclass(kw_only=True)
class Told:
    """By name what was told last. Changed in place."""

    told: dict[str, Any] = field(default_factory=dict)

    def new(self, name: str, value: Any) -> bool:
        """Whether this is told for the first time."""
        if self.told.get(name, MISSING) == value:
            return False
        self.told[name] = value
        return True

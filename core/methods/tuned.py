"""The networks of the edits used last, so that moving a slider does not build one anew."""

from __future__ import annotations

import threading
from collections import OrderedDict

from core.models.base import Base
from core.types import Edit

KEPT = 3  # networks


class TunedModels:
    """A base's tuned networks by edit. An Edit is immutable, so the object itself is its key. Safe to use from several threads."""

    def __init__(self) -> None:
        self._models: OrderedDict[tuple[int, int], tuple[Base, Edit, Base]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, base: Base, edit: Edit) -> Base:
        """The base with the edit's weights. Raises ShiftlabError when they do not fit."""
        key = (id(base), id(edit))
        with self._lock:
            if key not in self._models:
                self._models[key] = (base, edit, base.tuned(edit.weights))  # base and edit are held, so no other object takes their ids
            self._models.move_to_end(key)
            while len(self._models) > KEPT:
                self._models.popitem(last=False)
            return self._models[key][2]

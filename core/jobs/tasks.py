"""Jobs that are no training of an edit: a settings class that runs itself in a run's folder. The worker knows only this much of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from core.types import Context, Edit, Method, StepEvent


@dataclass(frozen=True)
class Tools:
    """What a task may use. load_edit: an edit by its key, for the loaded base."""

    context: Context
    methods: Mapping[str, Method]
    load_edit: Callable[[str], Edit]


class Task(BaseModel, ABC):
    """Everything that a job needs to begin, and to go on after a kill, as plain data; it stands in the table of jobs.

    kind: the word in the table by which the worker finds the class.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = ""

    @abstractmethod
    def run(self, folder: Path, tools: Tools) -> Iterator[StepEvent]:
        """Does the work, writing into `folder` and skipping what is already there. Raises Stopped when asked to stop."""

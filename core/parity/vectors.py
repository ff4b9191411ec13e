"""A vector file as it is read, and what a comparison says of each of its entries."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from core.types import ShiftlabError

SINGLE = 1e-5  # one call or one step
WALK = 2e-5  # a whole trajectory


@dataclass(frozen=True)
class Vectors:
    """The tensors of one file and the text of its header."""

    tensors: dict[str, Tensor]
    header: dict[str, str]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors named `prefix…`, without the prefix: a state dict inside the file."""
        return {name[len(prefix) :]: tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}


@dataclass(frozen=True)
class Entry:
    """One comparison: what was recorded, what we compute, and how far apart they may be."""

    name: str
    expected: Tensor
    ours: Tensor
    bound: float = SINGLE

    @property
    def error(self) -> float:
        """The largest difference relative to the largest absolute expected value; infinite where shapes differ or a number is NaN."""
        if self.expected.shape != self.ours.shape:
            return float("inf")
        error = ((self.ours - self.expected).abs().max() / self.expected.abs().max()).item()
        return float("inf") if math.isnan(error) else error

    @property
    def agrees(self) -> bool:
        return self.error <= self.bound


Comparison = Callable[[Vectors], Iterator[Entry]]


def read_vectors(path: Path) -> Vectors:
    """Raises ShiftlabError for a file that is no safetensors."""
    try:
        with safe_open(path, framework="pt") as file:
            return Vectors({name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {})  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise ShiftlabError(f"{path} cannot be read ({error}). Copy the file anew.") from error

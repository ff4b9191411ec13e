"""The state of a training on disk, so that it goes on after anything, `kill -9` included, exactly where it was saved.

A checkpoint is up to three files: weights (safetensors: every entry of the state that is a dict of tensors), the rest that JSON cannot
hold (optimizer, random states; `torch.save`, read back with weights_only=True) and facts (JSON). The facts name the other two and are
moved into place last, so a checkpoint exists whole or not at all. Older ones are kept in case the newest cannot be read.
"""

from __future__ import annotations

import json
import os
import pickle
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

KEPT = 2
SEPARATOR = "|"  # between an entry of the state and the name of a tensor in it; no module name holds one
UNREADABLE = (OSError, ValueError, KeyError, EOFError, RuntimeError, SafetensorError, pickle.UnpicklingError)


class FolderCheckpoints:
    """A `core.types.Checkpointer` on a folder. on_save is told the step of each finished checkpoint."""

    def __init__(self, folder: Path, on_save: Callable[[int], None] = lambda step: None) -> None:
        self.folder = Path(folder)
        self.on_save = on_save

    def load(self) -> dict[str, Any] | None:
        """The newest state that can be read, its tensors on the CPU, or None."""
        for facts in self._newest_first():
            try:
                return self._read(facts)
            except UNREADABLE:
                continue
        return None

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Keeps `state` as the one of `step`. Raises OSError when the disk does not take it; earlier checkpoints then remain."""
        self.folder.mkdir(parents=True, exist_ok=True)
        weights, rest, facts = _sorted_by_kind(state)
        stem = f"step_{step:06d}"
        files = {"weights": f"{stem}-{uuid.uuid4().hex[:8]}.safetensors", "rest": f"{stem}-{uuid.uuid4().hex[:8]}.pt"}
        self._write(files["weights"], lambda path: save_file(weights, path))
        self._write(files["rest"], lambda path: torch.save(rest, path))
        contents = json.dumps({"step": step, "files": files, "weights": _names(state), "facts": facts}, indent=2)
        self._write(f"{stem}.json", lambda path: path.write_text(contents))
        self._forget_older()
        self.on_save(step)

    def _write(self, name: str, write: Callable[[Path], object]) -> None:
        """Writes beside, makes sure of the disk, and moves into place."""
        unfinished = self.folder / f".{name}.{os.getpid()}"
        try:
            write(unfinished)
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(unfinished, self.folder / name)
        except SafetensorError as error:  # how safetensors reports a full disk
            raise OSError(str(error)) from error
        finally:
            unfinished.unlink(missing_ok=True)

    def _read(self, path: Path) -> dict[str, Any]:
        found = json.loads(path.read_text())
        state: dict[str, Any] = {name: {} for name in found["weights"]}
        for key, tensor in load_file(self.folder / found["files"]["weights"]).items():
            entry, name = key.split(SEPARATOR, 1)
            state[entry][name] = tensor
        state.update(torch.load(self.folder / found["files"]["rest"], map_location="cpu", weights_only=True))
        return {**state, **found["facts"]}

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("step_*.json"), reverse=True)

    def _forget_older(self) -> None:
        """Removes all but the newest checkpoints, and files that belong to none."""
        kept = self._newest_first()[:KEPT]
        names = {path.name for path in kept}
        for path in kept:
            names.update(json.loads(path.read_text())["files"].values())
        for path in self.folder.iterdir():
            if path.name not in names:
                path.unlink(missing_ok=True)


def _is_weights(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(tensor, Tensor) for tensor in value.values())


def _names(state: dict[str, Any]) -> list[str]:
    return [name for name, value in state.items() if _is_weights(value)]


def _sorted_by_kind(state: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """(weights by "entry|name", what only torch.save keeps, what JSON gives back unchanged)."""
    weights = {
        f"{entry}{SEPARATOR}{name}": tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for entry in _names(state)
        for name, tensor in state[entry].items()
    }
    others = {name: value for name, value in state.items() if not _is_weights(value)}
    facts = {name: value for name, value in others.items() if _survives_json(value)}
    return weights, {name: value for name, value in others.items() if name not in facts}, facts


def _survives_json(value: Any) -> bool:
    """Whether JSON gives back an equal value: not for tensors, tuples, numbers as keys, and NaN."""
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError):
        return False

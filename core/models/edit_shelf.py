"""The edits that a lab offers: those that came with it, those brought as files, those that its runs made, and second bases."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.data.edits import load_edit, read_card, save_edit
from core.models.base import Base
from core.models.files import open_edit
from core.models.second_bases import as_edit, marker, second_bases
from core.types import Edit, EditCard, ShiftlabError

KEPT = 4  # full state dicts in memory
SECOND = "base/"  # before the folder's name, in the key of a second base


@dataclass(frozen=True)
class EditEntry:
    """An edit that may be chosen. usable: whether it belongs to the loaded base; why_not is a sentence where it does not."""

    key: str  # "shipped/<file>", "brought/<file>", "run/<id>" or "base/<folder>"
    name: str
    path: Path
    card: EditCard
    shipped: bool
    usable: bool
    why_not: str = ""


class EditShelf:
    """shipped, brought: folders of `*.safetensors`; runs: the folder of run folders; bases: gives the folders of bases
    other than the loaded one.

    Safe to use from several threads.
    """

    def __init__(self, shipped: Path, brought: Path, runs: Path, bases: Callable[[], list[Path]] = list) -> None:
        self._shipped, self._brought, self._runs, self._bases = shipped, brought, runs, bases
        self._loaded: OrderedDict[tuple[str, float, str], Edit] = OrderedDict()
        self._lock = threading.Lock()

    def entries(self, base: Base | None) -> list[EditEntry]:
        """Every edit that is there: shipped and brought ones by name, those of runs, the newest first, bases. Broken ones are not."""
        found = [(f"shipped/{path.stem}", path) for path in sorted(self._shipped.glob("*.safetensors"))]
        found += [(f"brought/{path.stem}", path) for path in sorted(self._brought.glob("*.safetensors"))]
        found += [(f"run/{path.parent.name}", path) for path in sorted(self._runs.glob("[!.]*/edit.safetensors"), reverse=True)]
        entries = []
        for key, path in found:
            try:
                entries.append(_entry(key, path, read_card(path), base))
            except ShiftlabError:
                continue
        return entries + (_second(base, self._bases()) if base is not None else [])

    def load(self, key: str, base: Base) -> Edit:
        """The edit with its weights; the same object as long as it is among the last few used. Raises ShiftlabError for an unknown key."""
        entry = next((entry for entry in self.entries(base) if entry.key == key), None)
        if entry is None:
            raise ShiftlabError(f"There is no edit {key!r}. It may have been deleted with its run; choose another.")
        name = (key, entry.path.stat().st_mtime, base.fingerprint)  # a difference is completed with the weights of the base
        with self._lock:
            if name not in self._loaded:
                second = key.startswith(SECOND)
                self._loaded[name] = as_edit(entry.path.parent, entry.card) if second else load_edit(entry.path, base.state_dict())
            self._loaded.move_to_end(name)
            while len(self._loaded) > KEPT:
                self._loaded.popitem(last=False)
            return self._loaded[name]

    def add(self, path: Path, name: str, base: Base, reference_prompt: str = "", target_prompt: str = "") -> str:
        """Takes an edit of this lab, or a published one of DiffusionCLIP or Asyrp on this base, among the brought ones. Returns its key."""
        edit = open_edit(path, base, reference_prompt=reference_prompt, target_prompt=target_prompt)
        name = name.strip() or edit.card.name
        stem = "-".join("".join(letter if letter.isalnum() else " " for letter in name).split()).lower() or "edit"
        target = self._brought / f"{stem}.safetensors"
        if target.exists():
            raise ShiftlabError(f"There is an edit called {name!r} already. Give this one another name.")
        self._brought.mkdir(exist_ok=True)
        card = edit.card.model_copy(update={"name": name})
        save_edit(target, dataclasses.replace(edit, card=card), base.state_dict(), "full")
        return f"brought/{stem}"


def _second(base: Base, folders: list[Path]) -> list[EditEntry]:
    found = second_bases(base, folders)
    return [EditEntry(f"{SECOND}{folder.name}", card.name, marker(folder), card, False, True) for folder, card in found]


def _entry(key: str, path: Path, card: EditCard, base: Base | None) -> EditEntry:
    why_not = ""
    if base is None:
        why_not = "No base is loaded."
    elif card.network == "base" and card.base_fingerprint != base.fingerprint:  # other kinds are checked when they are used
        why_not = f"The edit “{card.name}” belongs to the base {card.base_fingerprint}, but {base.fingerprint} ({base.name}) is loaded."
    return EditEntry(key, card.name, path, card, key.startswith("shipped/"), not why_not, why_not)

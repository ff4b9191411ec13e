"""Which base, CLIP and identity encoder a lab works with: the embedded ones, or what was chosen instead and is remembered in the home.

    <home>/models.json      {"base": "<path>", …}, only what is not embedded
    <home>/models/<name>/   fetched and imported models (core/models/zoo.py)

What is chosen but cannot be loaded any more gives way to the embedded model, and the reason is kept.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from core.models.clip import load_clip
from core.models.convert import convert_to_folder
from core.models.files import open_base
from core.models.identity import CONFIG_FILE, load_facenet, load_identity
from core.models.zoo import CARD, find, installed, mirror_folder, models_folder
from core.types import ShiftlabError

KINDS = ("base", "clip", "identity")
EMBEDDED = "embedded"
CHOICES = "models.json"
UNREADABLE = (ShiftlabError, OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)  # of a folder of weights
ENABLES = {
    "base": "every picture: inverting, editing and fine-tuning walk through it",
    "clip": "prompts: directions between them, and the score S_dir",
    "identity": "the identity score, its loss in fine-tuning, and the perceptual distance",
}


@dataclass(frozen=True)
class Loaded:
    """What the page tells of one of the three. model: its name, empty where none is loaded; memory and disk in bytes."""

    kind: str
    model: str
    where: Path
    embedded: bool
    why: str
    enables: str
    fingerprint: str = ""
    device: str = ""
    parameters: int = 0
    memory: int = 0
    disk: int = 0
    image_size: int = 0
    domain: str = ""
    note: str = ""


class Shelf:
    """home: the lab's. checkpoints: folder of the embedded models. A choice is a path, kept as it was resolved."""

    def __init__(self, home: Path, checkpoints: Path, device: torch.device) -> None:
        self.home, self.checkpoints, self.device = Path(home), Path(checkpoints), device
        self._why: dict[str, str] = {}
        self._where: dict[str, Path] = {}

    def load(self, kind: str) -> Any | None:
        """The chosen model of a kind, else the embedded one, else None. `why` then says how it came to that."""
        chosen, lost = self._choices().get(kind), ""
        if chosen:
            try:
                model = self.open(kind, Path(chosen))
                self._note(kind, Path(chosen), "chosen on the Models tab")
                return model
            except UNREADABLE as error:
                lost = f"; {Path(chosen).name}, which was chosen, cannot be loaded: {error}"
        return self._load_embedded(kind, lost)

    def use(self, kind: str, reference: str) -> Any:
        """Loads the model and remembers it. reference: "embedded", a name of the zoo or of an import, a hub id, or a path.

        Raises ShiftlabError, and changes nothing, where it cannot be loaded.
        """
        if kind not in KINDS:
            raise ShiftlabError(f"There is no kind of model called {kind!r}. Choose one of: {', '.join(KINDS)}.")
        embedded = reference == EMBEDDED
        path = self.checkpoints / kind if embedded else self._find(reference)
        try:
            model = self.open(kind, path)
        except UNREADABLE as error:
            raise ShiftlabError(str(error) if isinstance(error, ShiftlabError) else f"{path.name} is no {kind} model: {error}.") from error
        self._remember(kind, None if embedded else path.resolve())
        self._note(kind, path, "embedded" if embedded else "chosen on the Models tab")
        return model

    def open(self, kind: str, path: Path) -> Any:
        """A model from its folder or file, on the lab's device."""
        if kind == "base":
            return open_base(path, device=self.device)
        if kind == "clip":
            return load_clip(path, device=self.device)
        if path.is_dir() and (path / CONFIG_FILE).is_file():
            return load_identity(path, device=self.device)
        weights = path if path.is_file() else next(iter(sorted(path.glob("*.pt"))), path)
        return load_facenet(str(weights), device=self.device)

    def why(self, kind: str) -> str:
        """How it came that this model is loaded, or that none is."""
        return self._why[kind]

    def told(self, kind: str, model: Any | None) -> Loaded:
        """A model as the page tells of it."""
        where = self._where[kind]
        enables, embedded = ENABLES[kind], where == self.checkpoints / kind
        if model is None:
            return Loaded(kind, "", where, embedded, self._why[kind], enables)
        network = model.unet if kind == "base" else model.model
        parameters = list(network.parameters())
        card = getattr(model, "card", {})
        return Loaded(
            kind, model.name, where, embedded, self._why[kind], enables, model.fingerprint, str(model.device),
            sum(parameter.numel() for parameter in parameters),
            sum(parameter.numel() * parameter.element_size() for parameter in parameters),
            _disk(where), model.image_size, getattr(model, "domain", "") or str(card.get("domain", "")), str(card.get("bounds", "")),
        )  # fmt: skip

    def add(self, source: Path, name: str, domain: str = "") -> str:
        """Imports a base: the checkpoint or folder becomes `<home>/models/<name>/`, a diffusers folder with a card. Returns the name."""
        name = _folder_name(name or source.stem)
        folder = models_folder(self.home) / name
        if folder.exists():
            raise ShiftlabError(f"There is a model called {name!r} already. Give this one another name, or remove the other.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        convert_to_folder(source, folder, name=name, domain=domain)
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        said = {"kind": "base", "name": name, "domain": domain or card.get("domain", "")}
        _write_json(folder / CARD, {**card, **said})
        return name

    def _find(self, reference: str) -> Path:
        own = next((model.folder for model in installed(self.home) if model.name == reference), None)
        return own if own is not None else find(reference, self.home, mirror_folder())

    def _load_embedded(self, kind: str, lost: str) -> Any | None:
        folder = self.checkpoints / kind
        if not folder.is_dir():
            self._note(kind, folder, f"none{lost}")
            return None
        try:
            model = self.open(kind, folder)
        except UNREADABLE as error:
            self._note(kind, folder, f"unreadable: {error}{lost}")
            return None
        self._note(kind, folder, f"embedded{lost}")
        return model

    def _note(self, kind: str, where: Path, why: str) -> None:
        self._where[kind], self._why[kind] = where, why

    def _choices(self) -> dict[str, str]:
        """A file that is missing or damaged means that nothing was chosen."""
        try:
            choices = json.loads((self.home / CHOICES).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {kind: choices[kind] for kind in KINDS if isinstance(choices.get(kind), str)} if isinstance(choices, dict) else {}

    def _remember(self, kind: str, path: Path | None) -> None:
        choices = {name: chosen for name, chosen in self._choices().items() if name != kind}
        _write_json(self.home / CHOICES, choices | ({kind: str(path)} if path else {}))


def _folder_name(name: str) -> str:
    """A name that is a folder's on every system."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in name.strip()).strip("-.")
    if not plain:
        raise ShiftlabError("The model has no name. Give it one of letters and digits.")
    return plain[:60]


def _write_json(path: Path, value: dict[str, Any]) -> None:
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    os.replace(unfinished, path)


def _disk(where: Path) -> int:
    files = [where] if where.is_file() else where.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())

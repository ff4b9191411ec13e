"""Which models a lab works with: the embedded ones, or what was chosen instead and is remembered in the home.

    <home>/models.json      {"base": "<path>", …}, only what is not embedded
    <home>/models/<name>/   fetched and imported models (core/models/zoo.py)

What is chosen but cannot be loaded any more gives way to the embedded model, and the reason is kept.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from core.data.edits import OWN, check_base
from core.data.text_files import write_text
from core.models.base import Base
from core.models.convert import convert_to_folder, network_card, write_folder
from core.models.encoders import open_encoder, take_encoder
from core.models.facts import Facts, bytes_of
from core.models.files import open_base
from core.models.identity import Identity
from core.models.identity_bounds import Bounds, keep_bounds, with_kept_bounds
from core.models.text_to_image import load_text_to_image
from core.models.zoo import find, installed, models_folder
from core.types import Edit, ShiftlabError

KINDS = ("base", "clip", "identity")  # those that a lab loads when it begins
TEXT_TO_IMAGE = "text_to_image"  # loaded when it is first asked for
CHOOSABLE = (*KINDS, TEXT_TO_IMAGE)
FOLDERS = {TEXT_TO_IMAGE: "streets"}  # of embedded models that are not called as their kind
EMBEDDED = "embedded"
CHOICES = "models.json"
UNREADABLE = (ShiftlabError, OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)  # of a folder of weights
ENABLES = {
    "base": "every picture: inverting, editing and fine-tuning walk through it",
    "clip": "prompts: directions between them, and the score S_dir",
    "identity": "the identity score, its loss in fine-tuning, and the perceptual distance",
    TEXT_TO_IMAGE: "DATUM: personalising it on one image, and drawing pictures of prompts",
}


@dataclass(frozen=True)
class Loaded:
    """What the page tells of one of the three. model: its name, empty where none is loaded; memory and disk in bytes.

    precision: of what the network computes in; its weights stay in float32.
    """

    kind: str
    model: str
    where: Path
    embedded: bool
    why: str
    enables: str
    fingerprint: str = ""
    device: str = ""
    precision: str = ""
    parameters: int = 0
    memory: int = 0
    disk: int = 0
    image_size: int = 0
    domain: str = ""
    note: str = ""


class Shelf:
    """home: the lab's. checkpoints: folder of the embedded models. A choice is a path, kept as it was resolved.

    dtype: of the base's network, None for the device's best. mirror: the folder that stands in for the hub.
    """

    def __init__(
        self, home: Path, checkpoints: Path, device: torch.device, dtype: torch.dtype | None = None, mirror: Path | None = None
    ) -> None:
        self.home, self.checkpoints, self.device = Path(home), Path(checkpoints), device
        self.dtype, self.mirror = dtype, mirror
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
        if kind not in CHOOSABLE:
            raise ShiftlabError(f"There is no kind of model called {kind!r}. Choose one of: {', '.join(CHOOSABLE)}.")
        embedded = reference == EMBEDDED
        path = self._embedded(kind) if embedded else find(reference, self.home, self.mirror)
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
            return open_base(path, device=self.device, dtype=self.dtype)
        if kind == TEXT_TO_IMAGE:
            return load_text_to_image(path, device=self.device, dtype=self.dtype)
        encoder = open_encoder("clip" if kind == "clip" else "identity", path, device=self.device)
        return with_kept_bounds(encoder, self.home) if isinstance(encoder, Identity) else encoder

    def why(self, kind: str) -> str:
        """How it came that this model is loaded, or that none is."""
        return self._why[kind]

    def told(self, kind: str, model: Any | None) -> Loaded:
        """A model as the page tells of it."""
        where = self._where[kind]
        enables, embedded = ENABLES[kind], where == self._embedded(kind)
        if model is None:
            return Loaded(kind, "", where, embedded, self._why[kind], enables)
        network = model.unet if kind == "base" else model.model
        parameters = list(network.parameters())
        card = getattr(model, "card", {})
        return Loaded(
            kind, model.name, where, embedded, self._why[kind], enables, model.fingerprint,
            str(model.device), str(model.dtype).removeprefix("torch."),
            sum(parameter.numel() for parameter in parameters),
            sum(parameter.numel() * parameter.element_size() for parameter in parameters),
            bytes_of(where), model.image_size, getattr(model, "domain", "") or str(card.get("domain", "")), _bounds_said(model),
        )  # fmt: skip

    def told_unloaded(self, kind: str) -> Loaded:
        """What will be loaded of a kind when it is first asked for, as far as can be told without loading it."""
        chosen = self._choices().get(kind)
        where = Path(chosen) if chosen else self._embedded(kind)
        if not where.exists():
            return Loaded(kind, "", where, not chosen, "none" if not chosen else f"{where.name}, which was chosen, is gone", ENABLES[kind])
        why = "chosen on the Models tab" if chosen else EMBEDDED
        return Loaded(
            kind, _card_name(where), where, not chosen, why, ENABLES[kind], disk=bytes_of(where), note="Loaded when it is first asked for.",
        )  # fmt: skip

    def add(self, facts: Facts, name: str, domain: str = "") -> str:
        """Imports what was inspected as `<home>/models/<name>/`, in the form that the lab opens, with a card. Returns the name.

        Raises ShiftlabError for an edit, for a name that is taken, and for a disk that does not take it.
        """
        name = _folder_name(name or facts.path.stem)
        folder = self._new_folder(name)
        if facts.kind in ("clip", "identity", TEXT_TO_IMAGE):
            take_encoder(facts, folder, name)
        else:
            convert_to_folder(facts.path, folder, name=name, domain=domain, **facts.said)
        return name

    def keep_tuned(self, edit: Edit, base: Base, name: str = "", domain: str = "") -> str:
        """Keeps what an edit makes of its base as a base of its own, `<home>/models/<name>/`, which can be loaded like any other.

        Asyrp and DiffusionCLIP then work on the tuned base (SDFT's table 2). name: the edit's own where it is empty; domain: what the
        tuned base's images show, in a word or two; the base's where it is empty. Returns the name; the same edit again, the same name.
        Raises ShiftlabError for an edit of another base or of a network of its own, for a name that is taken, and for a full disk.
        """
        if edit.card.weights == OWN:
            raise ShiftlabError(f"The edit {edit.card.name!r} is no base but a network of its own. Choose one that tunes the base.")
        check_base(edit.card, base.fingerprint)
        name = _folder_name(name or edit.card.name)
        origin = {"kind": "tuned base", "base": base.fingerprint, "edit": edit.card.model_dump(mode="json")}
        if any(model.name == name and model.card.get("source") == origin for model in installed(self.home)):
            return name
        folder = self._new_folder(name)
        unet, schedule = base.tuned(edit.weights).unet, base.schedule
        known = {
            "kind": "base", "name": name, "domain": domain or base.domain, "prediction": base.prediction, "source": origin,
            "schedule": {name: getattr(schedule, name) for name in ("num_steps", "beta_start", "beta_end", "beta_schedule")},
        }  # fmt: skip
        write_folder(unet, network_card(unet, known), folder)
        return name

    def other_bases(self) -> list[Path]:
        """The folders of the bases that are here and not loaded: the embedded one, then those of the home."""
        here = [self.checkpoints / "base", *(model.folder for model in installed(self.home) if model.kind == "base")]
        return [folder for folder in here if folder.resolve() != self._where["base"].resolve()]

    def _new_folder(self, name: str) -> Path:
        """Where a model of this name will lie. Raises ShiftlabError when there is one."""
        folder = models_folder(self.home) / name
        if folder.exists():
            raise ShiftlabError(f"There is a model called {name!r} already. Give this one another name, or remove the other.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        return folder

    def keep_bounds(self, identity: Identity, bounds: Bounds) -> None:
        """Gives the encoder the floor and ceiling that were measured, now and whenever this home opens it again."""
        keep_bounds(self.home, identity, bounds)
        with_kept_bounds(identity, self.home)

    def _load_embedded(self, kind: str, lost: str) -> Any | None:
        folder = self._embedded(kind)
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

    def _embedded(self, kind: str) -> Path:
        """Where the embedded model of a kind lies, if there is one."""
        return self.checkpoints / FOLDERS.get(kind, kind)

    def _note(self, kind: str, where: Path, why: str) -> None:
        self._where[kind], self._why[kind] = where, why

    def _choices(self) -> dict[str, str]:
        """A file that is missing or damaged means that nothing was chosen."""
        try:
            choices = json.loads((self.home / CHOICES).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {kind: choices[kind] for kind in CHOOSABLE if isinstance(choices.get(kind), str)} if isinstance(choices, dict) else {}

    def _remember(self, kind: str, path: Path | None) -> None:
        choices = {name: chosen for name, chosen in self._choices().items() if name != kind}
        _write_json(self.home / CHOICES, choices | ({kind: str(path)} if path else {}))


def _bounds_said(model: Any) -> str:
    """What is known of an identity encoder's floor and ceiling; empty for other models."""
    if not isinstance(model, Identity) or model.card.get("bounds") or None in (model.floor, model.ceiling):
        return str(getattr(model, "card", {}).get("bounds", ""))
    return f"Floor {round(model.floor, 2) + 0.0:.2f}, ceiling {model.ceiling:.2f}, as its card has them."


def _card_name(folder: Path) -> str:
    """The name on a folder's card, else the folder's own."""
    try:
        return str(json.loads((folder / "card.json").read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return folder.name


def _folder_name(name: str) -> str:
    """A name that is a folder's on every system."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in name.strip()).strip("-.")
    if not plain:
        raise ShiftlabError("The model has no name. Give it one of letters and digits.")
    return plain[:60]


def _write_json(path: Path, value: dict[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")

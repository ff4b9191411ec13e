"""Models by name: the table (core/models/zoo.json), what of it is on this machine, and where a name, hub id or path leads.

Fetched models lie in `<home>/models/<name>/`, each with a card.json. A mirror, the folder in the environment's SHIFTLAB_MODELS or on
the command line, stands in for the hub: `<mirror>/<name>/` or `<mirror>/<owner>/<repository>/` with the hub's own files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.models.clip_hub import hub_of
from core.types import ShiftlabError

Kind = Literal["base", "clip", "identity", "text_to_image", "segformer"]
TABLE = Path(__file__).with_name("zoo.json")
MIRROR_VARIABLE = "SHIFTLAB_MODELS"
WEIGHT_SUFFIXES = (".ckpt", ".pt", ".pth", ".bin", ".safetensors")
CARD = "card.json"
TEXT_TO_IMAGE_PREFIX = "text-to-image"
_HUB_ID = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")


@dataclass(frozen=True)
class Wanted:
    """One file of a model: the first of `names` that the source has. optional: the model does without it."""

    names: tuple[str, ...]
    optional: bool = False


UNET_WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
# The hub's own layouts. Safetensors where the source has it; a pickled state dict is read with weights_only.
FILES: dict[str, tuple[Wanted, ...]] = {
    "base": (
        # a pipeline's network first: beside it, a config.json may be of something else
        Wanted(("unet/config.json", "config.json")),
        Wanted((*(f"unet/{name}" for name in UNET_WEIGHTS), *UNET_WEIGHTS)),
        Wanted(("scheduler_config.json", "scheduler/scheduler_config.json"), optional=True),
    ),
    "clip": (Wanted(("open_clip_config.json",)), Wanted(("open_clip_model.safetensors",))),
    "segformer": (Wanted(("config.json",)), Wanted(("model.safetensors", "pytorch_model.bin"))),
    "text_to_image": (
        Wanted(("model_index.json",)),
        Wanted(("scheduler/scheduler_config.json",)),
        Wanted(("tokenizer/vocab.json",)),
        Wanted(("tokenizer/merges.txt",)),
        Wanted(("tokenizer/tokenizer_config.json",)),
        Wanted(("tokenizer/special_tokens_map.json",), optional=True),
        Wanted(("text_encoder/config.json",)),
        Wanted(("vae/config.json",)),
        Wanted(("unet/config.json",)),
        Wanted(("text_encoder/model.fp16.safetensors", "text_encoder/model.safetensors")),
        Wanted(("vae/diffusion_pytorch_model.fp16.safetensors", "vae/diffusion_pytorch_model.safetensors")),
        Wanted(("unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.safetensors")),
    ),
}


class ZooEntry(BaseModel):
    """One line of the table. Either `hub`, a repository's id, or `url`, a single file's address, says where it comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    kind: Kind
    title: str
    hub: str = ""
    url: str = ""
    licence: str = "unknown"
    megabytes: int | None = Field(None, description="of the weight file, about, in 10^6 bytes")
    image_size: int | None = Field(None, description="pixels a side")
    domain: str = ""
    sha256: dict[str, str] = Field(default_factory=dict, description="by file name, only where verified")
    note: str = ""

    @property
    def source(self) -> str:
        """Where it comes from, as a person would type it."""
        return self.hub or self.url

    @property
    def files(self) -> tuple[Wanted, ...]:
        return FILES[self.kind] if self.hub else (Wanted((self.url.rpartition("/")[2],)),)


@dataclass(frozen=True)
class Installed:
    """A model in the home. bytes on disk; card as its card.json says."""

    name: str
    kind: Kind
    folder: Path
    bytes: int
    card: dict[str, Any]


@cache
def zoo() -> tuple[ZooEntry, ...]:
    """The table, in its order."""
    return tuple(ZooEntry(**line) for line in json.loads(TABLE.read_text(encoding="utf-8"))["models"])


def entry_of(name: str) -> ZooEntry:
    """The table's entry of this name or hub id; else one for a base at a hub id ("owner/repository"), a CLIP ("ViT-L-14:openai"), or a
    text-to-image model ("text-to-image:owner/repository").

    Raises ShiftlabError for what is none of these.
    """
    for entry in zoo():
        if name in (entry.name, entry.hub):
            return entry
    model, _, tag = name.partition(":")
    if model == TEXT_TO_IMAGE_PREFIX and _HUB_ID.fullmatch(tag):
        return ZooEntry(name=tag.replace("/", "--"), kind="text_to_image", title=tag, hub=tag, note="Not in the table; see its page.")
    if tag and "/" not in name:
        here = next((entry for entry in zoo() if entry.hub == hub_of(model, tag)), None)
        title, note = f"CLIP {model} ({tag})", "One of open_clip's; its licence is on its page."
        return here or ZooEntry(name=f"{model}--{tag}", kind="clip", title=title, hub=hub_of(model, tag), domain="any", note=note)
    if _HUB_ID.fullmatch(name):
        return ZooEntry(name=name.replace("/", "--"), kind="base", title=name, hub=name, note="Not in the table; see its page.")
    known = ", ".join(entry.name for entry in zoo())
    raise ShiftlabError(
        f"There is no model called {name!r}. Name a hub id (owner/repository, or "
        f"{TEXT_TO_IMAGE_PREFIX}:owner/repository), an open_clip MODEL:TAG, or one of: {known}."
    )


def models_folder(home: Path) -> Path:
    """Where fetched models lie."""
    return Path(home) / "models"


def installed(home: Path) -> list[Installed]:
    """The fetched models, by name. A folder without a readable card is none of ours and left out."""
    found = []
    for path in sorted(models_folder(home).glob(f"[!.]*/{CARD}")):
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
            kind = card["kind"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        size = sum(file.stat().st_size for file in path.parent.rglob("*") if file.is_file())
        found.append(Installed(path.parent.name, kind, path.parent, size, card))
    return found


def remove(name: str, home: Path) -> None:
    """Deletes a fetched model. Raises ShiftlabError when there is none of this name."""
    model = next((model for model in installed(home) if model.name == name), None)
    if model is None:
        raise ShiftlabError(f"No fetched model is called {name!r}. There is nothing to remove.")
    gone = model.folder.with_name(f".{model.name}.removed")
    os.replace(model.folder, gone)
    shutil.rmtree(gone, ignore_errors=True)


def mirror_folder(given: Path | None = None) -> Path | None:
    """The folder that stands in for the hub: the one given, else the environment's, else none. ShiftlabError when it is not there."""
    name = given or os.environ.get(MIRROR_VARIABLE)
    if not name:
        return None
    if not Path(name).is_dir():
        raise ShiftlabError(f"The folder {name}, which is to stand in for the hub, is not there. Correct --models or {MIRROR_VARIABLE}.")
    return Path(name)


def in_mirror(entry: ZooEntry, mirror: Path | None) -> Path | None:
    """The entry's folder in a mirror, or None."""
    if mirror is None:
        return None
    places = [mirror / entry.name, *([mirror / entry.hub] if entry.hub else [])]
    return next((place for place in places if place.is_dir()), None)


def find(reference: str, home: Path, mirror: Path | None = None) -> Path:
    """Where a model lies on this machine: a path as it is; a name or hub id in the home, else in the mirror. Asks no other machine.

    Raises ShiftlabError for an unknown name and for a model that has yet to be fetched.
    """
    path = Path(reference).expanduser()
    if path.exists():
        return path
    if path.is_absolute() or path.suffix in WEIGHT_SUFFIXES:
        raise ShiftlabError(f"There is nothing at {path}. Correct the path.")
    own = {model.name: model.folder for model in installed(home)}
    if reference in own:
        return own[reference]
    entry = entry_of(reference)
    folder = own.get(entry.name) or in_mirror(entry, mirror)
    if folder is None:
        raise ShiftlabError(f"{reference} is not on this machine. Fetch it: python -m core models download {reference}")
    return folder

"""CLIP models and identity encoders that people bring: opened strictly to tell what they are, and taken in as folders of the lab.

clip      a folder with open_clip_config.json, or a file of weights whose model is named as open_clip names it
identity  a folder of timm's with a card (core/models/identity.py), or FaceNet's file of weights
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, device, nn

from core.models import clip as clips
from core.models import identity as identities
from core.models.clip import IMAGENET_TEMPLATES, Clip, load_clip, save_clip
from core.models.clip_hub import activation_note, load_open_clip, plain_config
from core.models.facts import Facts, bytes_of
from core.models.identity import FACENET_BOUNDS, Identity, load_facenet, load_identity
from core.types import ShiftlabError

Encoder = Literal["clip", "identity"]
FACENET_KEY = "conv2d_1a.conv.weight"
CLIP_KEYS = {"visual.proj", "visual.conv1.weight", "visual.positional_embedding", "logit_scale"}
CARD = "card.json"


def encoder_kind(path: Path, state: Mapping[str, Tensor] | None = None) -> Encoder | None:
    """Which encoder lies at a path, or None for something else. state: a file's weights."""
    if path.is_dir():
        if (path / clips.CONFIG_FILE).is_file():
            return "clip"
        timm = "architecture" in _read_json(path / identities.CONFIG_FILE)  # where diffusers names a class
        return "identity" if timm or _read_json(path / CARD).get("kind") == "identity" else None
    if state is None:
        return None
    return "identity" if FACENET_KEY in state else "clip" if not CLIP_KEYS.isdisjoint(state) else None


def open_encoder(kind: Encoder, path: Path, *, clip_name: str = "", device: device | str = "cpu") -> Clip | Identity:
    """The encoder in a folder or file. clip_name: open_clip's name of the model whose weights a file holds.

    Raises ShiftlabError, with the reason, for what does not hold this kind of encoder.
    """
    if kind == "clip":
        if path.is_dir():
            return load_clip(path, device=device)
        if not clip_name:
            raise ShiftlabError(f"{path.name} holds a CLIP model's weights and does not say which. Say its name, such as ViT-B-16.")
        plain_config(clip_name)
        return load_open_clip(clip_name, str(path), device=device)
    if path.is_dir() and (path / identities.CONFIG_FILE).is_file():
        return load_identity(path, device=device)
    return load_facenet(str(path if path.is_file() else next(iter(sorted(path.glob("*.pt"))), path)), device=device)


def encoder_facts(kind: Encoder, path: Path, *, clip_name: str = "") -> Facts:
    """What an encoder is, its weights loaded strictly."""
    encoder = open_encoder(kind, path, clip_name=clip_name)
    title = "CLIP, open_clip" if kind == "clip" else "identity encoder"
    details = {"name": encoder.name, "image size": f"{encoder.image_size} px"}
    if isinstance(encoder, Identity):
        bounds = (encoder.floor, encoder.ceiling)
        details["floor, ceiling"] = "not measured" if None in bounds else f"{bounds[0]:.2f}, {bounds[1]:.2f}"
    said = {"clip_name": clip_name} if clip_name else {}
    note = activation_note(clip_name) if kind == "clip" and clip_name else ""
    return Facts(
        kind, title, path, bytes_of(path), _parameters(encoder.model), encoder.fingerprint, details, (note,) if note else (), said
    )  # fmt: skip


def take_encoder(facts: Facts, folder: Path, name: str) -> None:
    """Writes a copy as a new folder, with a card, in a form that `open_encoder` reads. Raises ShiftlabError on a full disk."""
    unfinished = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        _write(facts, unfinished, name)
        os.replace(unfinished, folder)
    except OSError as error:
        raise ShiftlabError(f"{folder} cannot be written ({error.strerror or error}). Free some space, then try again.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write(facts: Facts, folder: Path, name: str) -> None:
    card = {"kind": facts.kind, "name": name, "source": {"file": facts.path.name, "kind": facts.title}, "fingerprint": facts.fingerprint}
    if facts.path.is_dir():
        shutil.copytree(facts.path, folder)
        card = {**_read_json(folder / CARD), **card}
    elif facts.kind == "identity":
        folder.mkdir()
        shutil.copyfile(facts.path, folder / f"{facts.path.stem}.pt")
        card["bounds"] = FACENET_BOUNDS
    else:
        _take_clip(facts, folder)
        card["templates"] = list(IMAGENET_TEMPLATES)
    (folder / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def _take_clip(facts: Facts, folder: Path) -> None:
    """Weights of a named model, with the configuration that open_clip has under that name."""
    clip_name = facts.said["clip_name"]
    model = load_open_clip(clip_name, str(facts.path)).model
    save_clip(folder, model, {"model_cfg": plain_config(clip_name), "preprocess_cfg": model.visual.preprocess_cfg}, {})


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())

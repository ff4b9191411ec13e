"""CLIP models by open_clip's names, from a file, the local cache, or, only when the user asks, the model hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import open_clip
import torch
from huggingface_hub import try_to_load_from_cache

from core.models.clip import Clip
from core.models.reading import UNREADABLE, read_content
from core.types import ShiftlabError

ASSUMED = "GELU"
QUICK = "-quickgelu"  # ends open_clip's name of a model with the activation of OpenAI's own
_HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def load_open_clip(
    name: str,
    pretrained: str,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Clip:
    """A model of open_clip's list, such as ("ViT-B-16", "openai"), DiffusionCLIP's own choice.

    pretrained: a tag, or a weights file. Raises ShiftlabError for an unknown name or tag, and for weights that are not on this machine.
    """
    if open_clip.get_model_config(name) is None:
        raise ShiftlabError(f"open_clip knows no model {name!r}. Choose one of its names, such as ViT-B-16.")
    tag = open_clip.get_pretrained_cfg(name, pretrained) or {}
    weights = pretrained if Path(pretrained).is_file() else _weights_of_tag(name, pretrained, tag)
    colours = {key: tag[key] for key in ("mean", "std") if tag.get(key)}
    try:
        model = open_clip.create_model(
            name,
            pretrained=weights,
            force_quick_gelu=bool(tag.get("quick_gelu", False)),
            force_preprocess_cfg=colours,
            pretrained_text=False,
        )
        tokenizer = open_clip.get_tokenizer(name)
    except UNREADABLE as error:
        read_content(Path(weights))  # where the fault is the file's own, this says which
        raise ShiftlabError(f"The weights of {name} could not be read. Fetch the file again, or choose another.") from error
    size = model.visual.image_size
    assumed = f", {ASSUMED} assumed" if not tag and activation_note(name) else ""
    return Clip(
        model,
        tokenizer,
        name=f"{name} ({Path(pretrained).name}{assumed})",
        image_size=int(size[0] if isinstance(size, tuple | list) else size),
        mean=model.visual.preprocess_cfg["mean"],
        std=model.visual.preprocess_cfg["std"],
        device=device,
        dtype=dtype,
    )


def plain_config(name: str) -> dict[str, Any]:
    """open_clip's configuration of a model that needs no other files than its weights.

    Raises ShiftlabError for an unknown name, and for a model whose text tower or tokenizer is another project's.
    """
    config = open_clip.get_model_config(name)
    if config is None:
        raise ShiftlabError(f"open_clip knows no model {name!r}. Choose one of its names, such as ViT-B-16.")
    if set(config) - {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"} or any(key.startswith("hf_") for key in config["text_cfg"]):
        raise ShiftlabError(f"{name} has a text tower or tokenizer of another project, which is not kept here. Choose such as ViT-L-14.")
    return config


def activation_note(name: str) -> str:
    """What a file of weights leaves open where a model goes by two names, one for each activation, and the plain one was said."""
    if open_clip.get_model_config(f"{name}{QUICK}") is None:
        return ""
    return (
        f"{ASSUMED} was assumed as the activation; the file does not say it. OpenAI's own weights, and some others, need QuickGELU: "
        f"for these say {name}{QUICK}."
    )


def hub_of(name: str, pretrained: str) -> str:
    """The hub id of a model's weights by open_clip's tag. Raises ShiftlabError for what it does not know there."""
    plain_config(name)
    hub = (open_clip.get_pretrained_cfg(name, pretrained) or {}).get("hf_hub", "").strip("/")
    if not hub:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(name)[:5])
        raise ShiftlabError(f"open_clip has no weights {pretrained!r} of {name} on the hub. Tags are, among others, {known}.")
    return hub


def _weights_of_tag(name: str, pretrained: str, tag: dict) -> str:
    """The path of a tag's weights in the local cache."""
    if not tag:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(name)[:5])
        raise ShiftlabError(f"{pretrained!r} is neither a weights file nor a tag of {name}. Tags are, among others, {known}.")
    cached = _cached(tag.get("hf_hub", ""))
    if cached is None:
        raise ShiftlabError(f"{name} is not on this machine. Fetch it: python -m core models download {name}:{pretrained}")
    return cached


def _cached(hub_path: str) -> str | None:
    """A hub path "organisation/model/[file]" in the local cache, or None. Asks nobody."""
    repository, _, filename = hub_path.rpartition("/")
    if not repository:
        return None
    for candidate in (filename,) if filename else _HUB_FILES:
        path = try_to_load_from_cache(repository, candidate)
        if isinstance(path, str):
            return path
    return None

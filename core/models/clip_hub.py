"""CLIP models by open_clip's names, from a file, the local cache, or, only when the user asks, the model hub."""

from __future__ import annotations

from pathlib import Path

import open_clip
import torch
from huggingface_hub import try_to_load_from_cache

from core.models.clip import Clip
from core.types import ShiftlabError

_HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def load_open_clip(
    name: str,
    pretrained: str,
    *,
    download: bool = False,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Clip:
    """A model of open_clip's list, such as ("ViT-B-16", "openai"), DiffusionCLIP's own choice.

    pretrained: a tag, or a weights file. download: whether the hub may be asked for what is not on this machine.
    Raises ShiftlabError for an unknown name or tag, for weights that are not here, and for a hub that does not answer.
    """
    if open_clip.get_model_config(name) is None:
        raise ShiftlabError(f"open_clip knows no model {name!r}. Choose one of its names, such as ViT-B-16.")
    tag = open_clip.get_pretrained_cfg(name, pretrained) or {}
    weights = pretrained if Path(pretrained).is_file() else _weights_of_tag(name, pretrained, tag, download)
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
    except (OSError, RuntimeError) as error:
        raise ShiftlabError(f"The weights of {name} could not be read. Fetch the file again, or choose another.") from error
    size = model.visual.image_size
    return Clip(
        model,
        tokenizer,
        name=f"{name} ({Path(pretrained).name})",
        image_size=int(size[0] if isinstance(size, tuple | list) else size),
        mean=model.visual.preprocess_cfg["mean"],
        std=model.visual.preprocess_cfg["std"],
        device=device,
        dtype=dtype,
    )


def _weights_of_tag(name: str, pretrained: str, tag: dict, download: bool) -> str:
    """The path of a tag's weights: out of the local cache, else downloaded if that is allowed."""
    if not tag:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(name)[:5])
        raise ShiftlabError(f"{pretrained!r} is neither a weights file nor a tag of {name}. Tags are, among others, {known}.")
    cached = _cached(tag.get("hf_hub", ""))
    if cached is not None:
        return cached
    if not download:
        raise ShiftlabError(f"The weights of {name} ({pretrained}) are not on this machine. Allow the download, or use the embedded CLIP.")
    try:
        return open_clip.download_pretrained(tag)
    except (OSError, RuntimeError) as error:
        raise ShiftlabError(f"The weights of {name} could not be downloaded. Check the connection, or use the embedded CLIP.") from error


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

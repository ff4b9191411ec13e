"""Checkpoints into diffusers folders, which other tools load with `UNet2DModel.from_pretrained`, and back into their own key layout.

Both ways are exact: weights are renamed, reordered and reshaped, never computed. What is written appears whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DModel
from safetensors.torch import save_file
from torch import Tensor

from core.models.files import build_unet
from core.models.fingerprint import weights_hash
from core.models.mapping import (
    DDPMConfig,
    GuidedConfig,
    ddpm_from_diffusers,
    ddpm_unet_config,
    guided_from_diffusers,
    guided_unet_config,
)
from core.models.reading import read_content, state_dict_of
from core.models.recognise import Network, recognise
from core.models.unet_folder import CARD, read_card, read_unet
from core.types import ShiftlabError

CHECKPOINT_SUFFIXES = (".ckpt", ".pt", ".pth", ".safetensors")


def convert_to_folder(
    source: Path,
    folder: Path,
    *,
    name: str = "",
    domain: str = "",
    image_size: int | None = None,
    head_channels: int | None = None,
) -> Path:
    """A checkpoint, or an older diffusers folder, as a plain diffusers folder in safetensors with a card. Returns the folder.

    name, domain (what its images show, in a word or two, such as "photo"): for the card; the source's own where they are empty.
    Raises ShiftlabError for a source that is no base, for a folder that is not empty, and for a disk that does not take it.
    """
    source, folder = Path(source), Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ShiftlabError(f"{folder} is not empty. Choose a new folder.")
    unet, card = _read(source, image_size, head_channels)
    card |= {"kind": "base", "name": name or card.get("name", source.stem), "domain": domain or card.get("domain", "")}
    return write_folder(unet, card, folder)


def write_folder(unet: UNet2DModel, card: dict[str, Any], folder: Path) -> Path:
    """A network as a plain diffusers folder with a card, whole or not at all. Returns the folder.

    Raises ShiftlabError for a disk that does not take it.
    """
    unfinished = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        unet.save_pretrained(unfinished, safe_serialization=True)
        (unfinished / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        if folder.exists():
            folder.rmdir()  # it is empty
        os.replace(unfinished, folder)
    except OSError as error:
        raise ShiftlabError(f"{folder} cannot be written ({error.strerror}). Free some space, or choose another place.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def convert_to_checkpoint(folder: Path, path: Path) -> Path:
    """A diffusers folder of the DDPM or guided-diffusion family in that family's own keys: a state dict, by torch.save or safetensors.

    Raises ShiftlabError for a network of neither family, for an unknown suffix, and for a file that is there already.
    """
    folder, path = Path(folder), Path(path)
    if path.suffix not in CHECKPOINT_SUFFIXES:
        raise ShiftlabError(f"A checkpoint cannot be called {path.name}. Use one of the endings {', '.join(CHECKPOINT_SUFFIXES)}.")
    if path.exists():
        raise ShiftlabError(f"{path} is there already. Choose another name.")
    state = checkpoint_state(read_unet(folder))
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":
            save_file(state, unfinished)
        else:
            torch.save(state, unfinished)
        os.replace(unfinished, path)
    except OSError as error:
        raise ShiftlabError(f"{path} cannot be written ({error.strerror}). Free some space, or choose another place.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def checkpoint_state(unet: UNet2DModel) -> dict[str, Tensor]:
    """The network's weights under its family's keys. Raises ShiftlabError for a network of neither family."""
    config = family_config(unet)
    weights = unet.state_dict()
    state = ddpm_from_diffusers(weights, config) if isinstance(config, DDPMConfig) else guided_from_diffusers(weights, config)
    return {name: tensor.contiguous() for name, tensor in state.items()}


def family_config(unet: UNet2DModel) -> DDPMConfig | GuidedConfig:
    """The published family's configuration whose network this is, to the last argument, or a ShiftlabError."""
    config = unet.config
    attends = [kind.startswith("Attn") for kind in config.down_block_types]
    channels = tuple(config.block_out_channels)
    shared: dict[str, Any] = {
        "image_size": config.sample_size,
        "in_channels": config.in_channels,
        "out_channels": config.out_channels,
        "num_res_blocks": config.layers_per_block,
    }
    multipliers = tuple(width // channels[0] for width in channels)
    ddpm = DDPMConfig(
        ch=channels[0],
        ch_mult=multipliers,
        attn_resolutions=tuple(config.sample_size // 2**i for i, there in enumerate(attends) if there),
        **shared,
    )
    if _is(unet, ddpm_unet_config(ddpm)):
        return ddpm
    guided = GuidedConfig(
        model_channels=channels[0],
        channel_mult=multipliers,
        attention_resolutions=tuple(2**i for i, there in enumerate(attends) if there),
        num_head_channels=config.attention_head_dim or 1,
        use_scale_shift_norm=config.resnet_time_scale_shift == "scale_shift",
        resblock_updown=config.downsample_type == "resnet",
        **shared,
    )
    if _is(unet, guided_unet_config(guided)):
        return guided
    raise ShiftlabError("This network is of neither the DDPM nor the guided-diffusion family, so it has no checkpoint. Keep the folder.")


def _is(unet: UNet2DModel, arguments: dict[str, Any]) -> bool:
    """Whether the network was built with these arguments, and with UNet2DModel's defaults for all others."""
    own = dict(unet.config)
    try:
        with torch.device("meta"):
            other = dict(UNet2DModel(**arguments).config)
    except ValueError:  # the family has no network of that size: its norms have 32 groups
        return False
    return all(_plain(own[key]) == _plain(other[key]) for key in other if not key.startswith("_"))


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _read(source: Path, image_size: int | None, head_channels: int | None) -> tuple[UNet2DModel, dict[str, Any]]:
    """(network, its card)."""
    if source.is_dir():
        unet, kept, origin = read_unet(source), read_card(source), {"file": source.name, "kind": "diffusers folder"}
    else:
        state = state_dict_of(read_content(source), source.name)
        network = recognise(state, image_size=image_size, head_channels=head_channels)
        unet, kept, origin = build_unet(network, state), {}, _origin(source, network)
    return unet, network_card(unet, {"prediction": "epsilon", **kept, "source": origin})


def network_card(unet: UNet2DModel, known: dict[str, Any]) -> dict[str, Any]:
    """A card of what is known, and of what the network itself says."""
    return {
        "learn_sigma": unet.config.out_channels == 2 * unet.config.in_channels,
        "image_size": unet.config.sample_size,
        **known,
        "fingerprint": weights_hash(unet.state_dict()),
        "versions": {library: version(library) for library in ("torch", "diffusers")},
    }


def _origin(source: Path, network: Network) -> dict[str, Any]:
    return {"file": source.name, "kind": network.title, "notes": list(network.notes)}

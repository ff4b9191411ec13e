"""Reading a network from a diffusers folder, strictly: whatever is not as it should be becomes a sentence.

The folder is a plain one (`config.json` and weights) or a whole pipeline's, whose network lies in `unet/`. Weights are safetensors, or
`diffusion_pytorch_model.bin` where an older tool wrote it. Schedule and prediction come from our card, else from diffusers' scheduler.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusers import UNet2DModel
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from core.models.reading import read_content, state_dict_of
from core.types import ShiftlabError

CONFIG, WEIGHTS, CARD = "config.json", "diffusion_pytorch_model.safetensors", "card.json"
KIND, COLOURS = "UNet2DModel", 3  # what a base is
OLD_WEIGHTS = "diffusion_pytorch_model.bin"
SCHEDULERS = ("scheduler_config.json", "scheduler/scheduler_config.json")
# diffusers before 0.16 wrote attention under these names; the models of the hub from 2022 still have them.
OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def read_unet(folder: Path) -> UNet2DModel:
    """The network that the folder's configuration describes, with its weights.

    Raises ShiftlabError for a missing folder or file, unreadable JSON, another kind of model or of pictures, or weights that do not fit.
    """
    if not folder.is_dir():
        raise ShiftlabError(f"There is no base model at {folder}. Choose a folder with {CONFIG} and {WEIGHTS}.")
    if not (folder / CONFIG).exists() and (folder / "unet" / CONFIG).exists():
        folder = folder / "unet"
    unet = _build(folder)
    check_channels(unet.config.in_channels, unet.config.out_channels)
    load_weights(unet, _read_weights(folder))
    return unet


def read_card(folder: Path) -> dict[str, Any]:
    """What the folder's card says; without a card what diffusers' scheduler says; without both nothing.

    Raises ShiftlabError when it is unreadable, or for a noise schedule that is not linear.
    """
    if (folder / CARD).exists():
        return read_json(folder / CARD)
    scheduler = next((folder / name for name in SCHEDULERS if (folder / name).exists()), None)
    return _scheduler_card(read_json(scheduler)) if scheduler else {}


def check_channels(channels: int, outputs: int) -> None:
    """Raises ShiftlabError for a network that does not turn a picture into its noise, or into noise and variance."""
    if channels != COLOURS:
        raise ShiftlabError(f"The network takes {channels}-channel pictures, and the lab's have {COLOURS}, RGB. Choose another base.")
    if outputs not in (channels, 2 * channels):
        raise ShiftlabError(f"The network turns {channels} channels into {outputs}, which is no noise prediction. Choose another.")


def load_weights(unet: UNet2DModel, weights: Mapping[str, Tensor]) -> None:
    """Copies weights into the network, strictly. Raises ShiftlabError that names the first missing, unknown or misshapen tensor."""
    own = unet.state_dict()
    missing, unknown = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    misshapen = sorted(name for name in own.keys() & weights.keys() if own[name].shape != weights[name].shape)
    for names, fault in ((missing, "lack"), (unknown, "hold an unknown"), (misshapen, "have another shape for")):
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise ShiftlabError(f"The weights do not fit the network: they {fault} {names[0]}{more}. Use weights made for this base.")
    unet.load_state_dict(dict(weights))


def _build(folder: Path) -> UNet2DModel:
    """The network that config.json describes, with weights still to come."""
    config = read_json(folder / CONFIG)
    kind = config.get("_class_name", KIND)
    if kind != KIND:
        raise ShiftlabError(f"{folder} holds another kind of model ({kind}), not an unconditional {KIND}. Choose another base.")
    if not isinstance(config.get("sample_size"), int):
        raise ShiftlabError(f"{folder / CONFIG} does not say the image size. Add an integer sample_size.")
    try:
        return UNet2DModel.from_config(config)
    except (TypeError, ValueError, IndexError) as error:
        raise ShiftlabError(f"{folder / CONFIG} describes no network that can be built ({error}). Restore the file.") from error


def _scheduler_card(scheduler: dict[str, Any]) -> dict[str, Any]:
    """The card's entries that a diffusers scheduler states, with diffusers' own defaults for those that it leaves out."""
    kind = scheduler.get("beta_schedule", "linear")
    if kind != "linear" or scheduler.get("trained_betas") is not None:
        raise ShiftlabError(f"This model was trained on a {kind} noise schedule, and the lab walks the linear one of DDPM. Choose another.")
    return {
        "schedule": {
            "num_steps": scheduler.get("num_train_timesteps", 1000),
            "beta_start": scheduler.get("beta_start", 1e-4),
            "beta_end": scheduler.get("beta_end", 0.02),
        },
        "prediction": scheduler.get("prediction_type", "epsilon"),
    }


def _read_weights(folder: Path) -> dict[str, Tensor]:
    weights = _read_file(folder)
    return {_present_name(name): tensor for name, tensor in weights.items()}


def _present_name(name: str) -> str:
    module, _, parameter = name.rpartition(".")
    block, _, part = module.rpartition(".")
    return f"{block}.{OLD_ATTENTION[part]}.{parameter}" if part in OLD_ATTENTION and ".attentions." in module else name


def _read_file(folder: Path) -> dict[str, Tensor]:
    path = folder / WEIGHTS
    if not path.is_file() and (folder / OLD_WEIGHTS).is_file():
        return state_dict_of(read_content(folder / OLD_WEIGHTS), OLD_WEIGHTS)
    if not path.is_file():
        raise ShiftlabError(f"{folder} has no {WEIGHTS}. Save the model there with safetensors.")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ShiftlabError(f"{path} cannot be read ({error}). Copy the file anew.") from error


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises ShiftlabError where there is none."""
    if not path.is_file():
        raise ShiftlabError(f"{path.parent} has no {path.name}. Choose a folder that holds a diffusers model.")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ShiftlabError(f"{path} is not readable JSON ({error}). Restore the file.") from error
    if not isinstance(value, dict):
        raise ShiftlabError(f"{path} holds no JSON object. Restore the file.")
    return value

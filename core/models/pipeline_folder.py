"""Reading a pipeline folder of Stable Diffusion 1.x, strictly: whatever is not as it should be becomes a sentence.

Weights are safetensors only, under diffusers' plain name or its half-precision variant's. Other parts that such folders have (safety
checker, feature extractor) are not read. Weights are brought to float32.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors import SafetensorError
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer
from transformers.utils import logging

from core.process.schedule import BETA_SCHEDULES, Schedule
from core.types import ShiftlabError

INDEX, CARD = "model_index.json", "card.json"
NETWORKS = {  # part → (class, names of its weights without suffix)
    "vae": (AutoencoderKL, "diffusion_pytorch_model"),
    "text_encoder": (CLIPTextModel, "model"),
    "unet": (UNet2DConditionModel, "diffusion_pytorch_model"),
}
VARIANTS = ("", ".fp16")
TOKENIZER_FILES = ({"vocab.json", "merges.txt"}, {"tokenizer.json"})  # either of these
SCHEDULER = Path("scheduler") / "scheduler_config.json"
PREDICTIONS = ("epsilon", "v_prediction")
BROKEN = (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError, IndexError)


@dataclass(frozen=True)
class Pipeline:
    """The parts as they were read: networks frozen, in eval mode, on the CPU."""

    name: str
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    unet: UNet2DConditionModel
    schedule: Schedule
    prediction: str


def is_pipeline(folder: Path) -> bool:
    """Whether a folder says that it holds a text-to-image pipeline."""
    return (folder / INDEX).is_file() and (folder / "text_encoder").is_dir()


def read_pipeline(folder: Path) -> Pipeline:
    """All parts of a text-to-image model. Raises ShiftlabError for what is missing, unreadable, or of another kind."""
    _check(folder)
    logging.disable_progress_bar()  # of a second's work, on the standard error of whoever runs the lab
    vae, text_encoder, unet = (_network(folder, part) for part in NETWORKS)
    if unet.config.in_channels != vae.config.latent_channels or unet.config.cross_attention_dim != text_encoder.config.hidden_size:
        raise ShiftlabError(
            f"The parts of {folder} do not fit each other (the UNet takes {unet.config.in_channels} channels and prompts of width "
            f"{unet.config.cross_attention_dim}). Choose a text-to-image model of Stable Diffusion 1.x."
        )
    if not isinstance(unet.config.sample_size, int):
        raise ShiftlabError(f"The unet of {folder} does not say its size as one number (sample_size). Restore its config.json.")
    tokenizer = _tokenizer(folder / "tokenizer", text_encoder)
    schedule, prediction = _scheduler(folder / SCHEDULER)
    name = _read_json(folder / CARD).get("name", folder.name) if (folder / CARD).is_file() else folder.name
    return Pipeline(name, vae, text_encoder, tokenizer, unet, schedule, prediction)


def _check(folder: Path) -> None:
    """Everything is there, and of the kind that this lab reads."""
    if not folder.is_dir():
        raise ShiftlabError(f"There is no folder at {folder}. Name one that holds a Stable Diffusion 1.x pipeline.")
    missing = [part for part in NETWORKS if not (folder / part / "config.json").is_file()]
    missing += [] if any(all((folder / "tokenizer" / name).is_file() for name in names) for names in TOKENIZER_FILES) else ["tokenizer"]
    missing += [] if (folder / SCHEDULER).is_file() else ["scheduler"]
    if missing:
        raise ShiftlabError(
            f"{folder} is no whole text-to-image pipeline: it lacks {', '.join(missing)}. It needs the folders vae, text_encoder, "
            "tokenizer, unet and scheduler, as diffusers saves them."
        )
    for part, (kind, _) in NETWORKS.items():
        config = _read_json(folder / part / "config.json")
        said = config.get("_class_name") or next(iter(config.get("architectures") or []), kind.__name__)
        if said != kind.__name__:
            raise ShiftlabError(f"The {part} of {folder} is a {said}, where Stable Diffusion 1.x has a {kind.__name__}. Choose another.")


def _network(folder: Path, part: str) -> Any:
    kind, weights = NETWORKS[part]
    variant = next((variant for variant in VARIANTS if (folder / part / f"{weights}{variant}.safetensors").is_file()), None)
    if variant is None:
        raise ShiftlabError(
            f"{folder / part} has no {weights}.safetensors; other formats can hold code and are not read. Save the model again with "
            "safe_serialization=True."
        )
    precision = {"torch_dtype" if part != "text_encoder" else "dtype": torch.float32}
    try:
        network: nn.Module = kind.from_pretrained(
            folder / part, use_safetensors=True, local_files_only=True, variant=variant[1:] or None, **precision
        )
    except BROKEN as error:
        raise ShiftlabError(f"The {part} of {folder} cannot be read ({str(error)[:200]}). Copy the folder anew.") from error
    return network.eval().requires_grad_(False)


def _tokenizer(folder: Path, text_encoder: CLIPTextModel) -> CLIPTokenizer:
    """It cuts prompts to what the text encoder reads, also where no tokenizer_config.json says how long that is."""
    try:
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises plain Exception for a damaged vocabulary
        raise ShiftlabError(f"The tokenizer in {folder} cannot be read ({str(error)[:200]}). Copy the folder anew.") from error
    if len(tokenizer) > text_encoder.config.vocab_size:
        raise ShiftlabError(
            f"The tokenizer in {folder} knows {len(tokenizer):,} tokens, and its text encoder {text_encoder.config.vocab_size:,}. "
            "They are of two models; copy the folder anew."
        )
    tokenizer.model_max_length = min(tokenizer.model_max_length, text_encoder.config.max_position_embeddings)
    return tokenizer


def _scheduler(path: Path) -> tuple[Schedule, str]:
    """(noise levels, what the network predicts), with diffusers' own defaults for what is left out."""
    config = _read_json(path)
    spacing, prediction = config.get("beta_schedule", "linear"), config.get("prediction_type", "epsilon")
    if spacing not in BETA_SCHEDULES or config.get("trained_betas") is not None or config.get("rescale_betas_zero_snr"):
        raise ShiftlabError(f"The lab does not walk the noise schedule in {path} ({spacing}). Choose a model of Stable Diffusion 1.x.")
    if prediction not in PREDICTIONS:
        raise ShiftlabError(f"The prediction type {prediction!r} in {path} is unknown. Choose a model of Stable Diffusion 1.x.")
    steps, start, end = (config.get(key, value) for key, value in (("num_train_timesteps", 1000), ("beta_start", 1e-4), ("beta_end", 0.02)))
    try:
        return Schedule(steps, start, end, spacing), prediction
    except (TypeError, ValueError) as error:
        raise ShiftlabError(f"{path} describes no noise schedule ({error}). Restore the file.") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ShiftlabError(f"{path} is not readable JSON ({error}). Restore the file.") from error
    if not isinstance(value, dict):
        raise ShiftlabError(f"{path} holds no JSON object. Restore the file.")
    return value

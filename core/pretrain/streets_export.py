"""The text-to-image model as a folder that `StableDiffusionPipeline.from_pretrained` and every tool for Stable Diffusion 1.x reads."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel

from core.data.text_files import write_text
from core.models.clip_tokenizer import save_clip_tokenizer

SCHEDULE: dict[str, Any] = {"num_steps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
CLASSES = {
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
}
OLD_PREFIX = "text_model."  # of the text encoder's weights before transformers 5, which reads both


def export(vae: AutoencoderKL, scale: float, text: CLIPTextModel, unet: UNet2DConditionModel, folder: Path) -> None:
    """All parts in float16 safetensors; what was in their folders is replaced. scale: by which the latents are multiplied."""
    for part in CLASSES:
        shutil.rmtree(folder / part, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    _half(vae).save_pretrained(folder / "vae")
    config = json.loads((folder / "vae" / "config.json").read_text()) | {"scaling_factor": round(scale, 5)}
    write_text(folder / "vae" / "config.json", json.dumps(config, indent=2) + "\n")
    _half(unet).save_pretrained(folder / "unet")
    _save_text_encoder(text, folder / "text_encoder")
    save_clip_tokenizer(folder / "tokenizer", text.config.max_position_embeddings)
    DDIMScheduler(
        SCHEDULE["num_steps"], SCHEDULE["beta_start"], SCHEDULE["beta_end"], SCHEDULE["beta_schedule"], clip_sample=False, steps_offset=1
    ).save_pretrained(folder / "scheduler")
    index = {"_class_name": "StableDiffusionPipeline", "requires_safety_checker": False, **CLASSES}
    write_text(folder / "model_index.json", json.dumps(index, indent=2) + "\n")


def _half(network: Any) -> Any:
    return copy.deepcopy(network).cpu().half()


def _save_text_encoder(text: CLIPTextModel, folder: Path) -> None:
    folder.mkdir(parents=True)
    weights = {OLD_PREFIX + name.removeprefix(OLD_PREFIX): value.cpu().half().contiguous() for name, value in text.state_dict().items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    compute = {"dtype": "float32", "torch_dtype": "float32"}  # what it is brought to, as diffusers does with the other parts
    config = text.config.to_dict() | {"architectures": ["CLIPTextModel"], **compute}
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")

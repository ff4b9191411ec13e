"""Tiny random models on disk, in the formats that `load_base`, `load_clip` and `load_identity` read. Each takes well under a second.

    models = write_models(tmp_path)     # base/, clip/, identity/, as in checkpoints/
"""

from __future__ import annotations

import json
from pathlib import Path

import timm
import torch
from diffusers import UNet2DModel

from core.models.clip import build_clip, save_clip
from core.models.identity import save_identity
from core.models.judge import JudgeNetwork, save_judge
from core.worlds import portraits

IMAGE_SIZE = 16
CLIP_SIZE = 32  # open_clip's convolutional tower divides the side by 32
CLIP_CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": CLIP_SIZE, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
CLIP_PREPROCESSING = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711], "interpolation": "bicubic"}


def tiny_unet(seed: int = 0, out_channels: int = 3, channels: int = 16) -> UNet2DModel:
    """A random two-level UNet for 16 px images, about 70,000 parameters."""
    torch.manual_seed(seed)
    return UNet2DModel(
        sample_size=IMAGE_SIZE,
        out_channels=out_channels,
        block_out_channels=(channels, channels),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
    )


def write_base(folder: Path, seed: int = 0) -> Path:
    """A plain diffusers folder: config.json, diffusion_pytorch_model.safetensors, card.json."""
    tiny_unet(seed).save_pretrained(folder)
    card = {"name": "tiny base", "domain": "photo", "prediction": "epsilon", "learn_sigma": False}
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def write_clip(folder: Path, seed: int = 0) -> Path:
    """open_clip's own class in a small size, with the standard tokenizer."""
    torch.manual_seed(seed)
    save_clip(folder, build_clip(CLIP_CONFIG), {"model_cfg": CLIP_CONFIG, "preprocess_cfg": CLIP_PREPROCESSING}, {"name": "tiny clip"})
    return folder


def write_identity(folder: Path, seed: int = 0) -> Path:
    """timm's test network, with a ceiling and a floor as if they had been measured."""
    torch.manual_seed(seed)
    model = timm.create_model("test_resnet", pretrained=False, num_classes=16)
    config = {"architecture": "test_resnet", "num_classes": 16, "pretrained_cfg": {"input_size": [3, IMAGE_SIZE, IMAGE_SIZE]}}
    save_identity(folder, model, config, {"name": "tiny identity", "ceiling": 0.9, "floor": 0.1})
    return folder


def write_judge(folder: Path) -> Path:
    """A judge of the portraits' domains and attributes."""
    save_judge(folder, JudgeNetwork(len(portraits.DOMAINS), len(portraits.ATTRIBUTES), 4), portraits.DOMAINS, portraits.ATTRIBUTES, 4)
    return folder


def write_models(checkpoints: Path, seed: int = 0) -> Path:
    """A checkpoints folder with base/, clip/ and identity/."""
    write_base(checkpoints / "base", seed)
    write_clip(checkpoints / "clip", seed)
    write_identity(checkpoints / "identity", seed)
    return checkpoints


def drained(generator):
    """(everything that a generator yields, what it returns)."""
    events = []
    while True:
        try:
            events.append(next(generator))
        except StopIteration as end:
            return events, end.value

"""A tiny random Stable Diffusion on disk, in the folder that `load_text_to_image` and diffusers read. It takes about a second.

    folder = write_text_to_image(tmp_path / "streets")
    model = load_text_to_image(folder, dtype=torch.float32)
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from core.models.clip_tokenizer import VOCABULARY, save_clip_tokenizer

IMAGE_SIZE, LATENT_SIZE = 16, 8
WIDTH, LENGTH = 16, 16  # of a token's embedding, of a prompt in tokens
CLASSES = {
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
}


def tiny_vae() -> AutoencoderKL:
    """Factor 2: 16 px images, 4×8×8 latents."""
    return AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
        sample_size=IMAGE_SIZE,
    )


def tiny_text_encoder() -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=LENGTH,
        bos_token_id=VOCABULARY - 2,
        eos_token_id=VOCABULARY - 1,
    )
    return CLIPTextModel(config)


def tiny_conditional_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
        norm_num_groups=4,
    )


def write_text_to_image(folder: Path, seed: int = 0) -> Path:
    """The five parts and model_index.json, as `StableDiffusionPipeline.save_pretrained` would write them; returns the folder."""
    torch.manual_seed(seed)
    tiny_vae().save_pretrained(folder / "vae")
    tiny_text_encoder().save_pretrained(folder / "text_encoder")
    tiny_conditional_unet().save_pretrained(folder / "unet")
    save_clip_tokenizer(folder / "tokenizer", LENGTH)
    DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=True, steps_offset=1
    ).save_pretrained(folder / "scheduler")
    index = {"_class_name": "StableDiffusionPipeline", "requires_safety_checker": False, **CLASSES}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2))
    return folder

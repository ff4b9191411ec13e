"""What the 256 px DDPM needs of a device: measured on a GPU, by one fine-tuning and one edit with random weights, else computed.

`torch.cuda.max_memory_allocated` counts tensors only; what the driver takes for itself comes on top, a few hundred MB.
"""

from __future__ import annotations

from collections.abc import Callable

import open_clip
import torch
from diffusers import UNet2DModel

from core.methods.diffusionclip import DiffusionCLIP
from core.methods.diffusionclip_settings import DiffusionCLIPEdit, DiffusionCLIPTune
from core.models.base import Base
from core.models.clip import Clip, build_clip
from core.models.mapping import DDPMConfig, ddpm_unet_config
from core.models.memory import GUIDE, Memory, inference_memory, release, training_memory
from core.models.precision import best_dtype
from core.types import Context, Edit, EditCard, EditRequest, TrainRequest

MEASURED = "Measured by torch.cuda.max_memory_allocated on {device}, one image at a time, weights in float32, networks in {dtype}."
WALK = {"return_step": 401, "grid": "paper", "inversion_steps": 2}
TUNE = {"images": 1, "epochs": 1, "training_steps": 2, "sample_steps": 2, "reference_prompt": "a photo", "target_prompt": "a sketch"}
GIGABYTE = 10**9


def computed_table() -> str:
    """The lines of `models memory` without a GPU."""
    rows = {
        "fine-tuning, saving mode": training_memory(),
        "the same, base on the device": training_memory(base_on_cpu=False),
        "the same, no checkpointing": training_memory(base_on_cpu=False, gradient_checkpointing=False),
        "editing with one edit": inference_memory(),
    }
    return "\n".join([*(f"{what:<30} {_parts(needed)}" for what, needed in rows.items()), next(iter(rows.values())).how])


def measured_table(device: torch.device) -> str:
    """The lines of `models memory` on a GPU."""
    context = random_context(device)
    tuning = peak_bytes_on(device, lambda: fine_tune_once(context))
    editing = peak_bytes_on(device, lambda: edit_once(context))
    rows = {"fine-tuning, saving mode": tuning, "editing with one edit": editing}
    told = MEASURED.format(device=torch.cuda.get_device_name(device), dtype=str(context.dtype).removeprefix("torch."))
    return "\n".join([*(f"{what:<30} {needed / GIGABYTE:5.2f} GB" for what, needed in rows.items()), told])


def random_context(device: torch.device) -> Context:
    """The 256 px DDPM and CLIP ViT-B/16, DiffusionCLIP's own, with random weights: memory does not depend on their values."""
    dtype = best_dtype(device)
    base = Base(UNet2DModel(**ddpm_unet_config(DDPMConfig())), name="random DDPM", device=device, dtype=dtype)
    config = open_clip.get_model_config(GUIDE)
    size, colours = config["vision_cfg"]["image_size"], (0.5, 0.5, 0.5)
    clip = Clip(build_clip(config), open_clip.get_tokenizer(GUIDE), name=GUIDE, image_size=size, mean=colours, std=colours, device=device)
    return Context(base=base, clip=clip, device=device, dtype=dtype)


def fine_tune_once(context: Context) -> None:
    """A fine-tuning of one update, with everything that a whole one holds at once."""
    settings = DiffusionCLIPTune(**WALK, **TUNE, mode="saving", gradient_checkpointing=True)
    for _ in DiffusionCLIP().train(TrainRequest(_image(context), settings, "measured"), context):
        pass


def edit_once(context: Context) -> None:
    """One image, inverted and generated with an edit beside the base."""
    card = EditCard(name="measured", method="diffusionclip", base_fingerprint=context.base.fingerprint)
    weights = {name: tensor.cpu() for name, tensor in context.base.state_dict().items()}
    request = EditRequest(_image(context), DiffusionCLIPEdit(**WALK, generation_steps=2), (Edit(card, weights),))
    for _ in DiffusionCLIP().edit(request, context):
        pass


def peak_bytes_on(device: torch.device, run: Callable[[], None]) -> int:
    """The most bytes that tensors held on the GPU while it ran, what was there before included."""
    release()
    torch.cuda.reset_peak_memory_stats(device)
    run()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device)


def _image(context: Context) -> torch.Tensor:
    size = context.base.image_size
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def _parts(needed: Memory) -> str:
    parts = f"weights {needed.weights / GIGABYTE:.2f}, Adam {needed.optimizer / GIGABYTE:.2f}, "
    parts += f"CLIP {needed.guide / GIGABYTE:.2f}, working {needed.working / GIGABYTE:.2f}"
    return f"{needed.total / GIGABYTE:5.2f} GB  ({parts})"

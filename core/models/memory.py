"""Memory on the device: computed before it is needed, and what to do when it runs out.

The numbers here are *computed*, not measured: the network runs forward and backward on PyTorch's meta device, which has shapes and no
values, and every tensor that lives at once is counted. What a device adds (its own context, the workspaces of convolutions, fragmentation)
is not in them, nor autocast's copies of the weights in reduced precision (half of their size), which smaller activations pay for.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import open_clip
import torch
from diffusers import UNet2DModel
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from core.models.clip import build_clip
from core.models.mapping import DDPMConfig, ddpm_unet_config

FLOAT = 4  # bytes
ADAM = 2 * FLOAT  # its two moments of every weight
GUIDE = "ViT-B-16"  # DiffusionCLIP's CLIP
COMPUTED = "Computed on the meta device in float32, one image at a time; not measured."
OUT_OF_MEMORY = ("not enough memory", "can't allocate memory")  # PyTorch's CPU allocator raises a RuntimeError that says one of them


@dataclass(frozen=True)
class Memory:
    """Bytes on the device at the worst moment. guide: CLIP's weights with what its own call needs; working: everything else that moves."""

    weights: int
    optimizer: int
    guide: int
    working: int
    how: str = COMPUTED

    @property
    def total(self) -> int:
        return self.weights + self.optimizer + self.guide + self.working


def training_memory(
    arguments: dict[str, Any] | None = None, *, batch: int = 1, gradient_checkpointing: bool = True, base_on_cpu: bool = True
) -> Memory:
    """Fine-tuning in DiffusionCLIP's saving mode: one network call with gradient at a time, Adam, CLIP ViT-B/16 as guide.

    arguments: UNet2DModel's; None is the 256 px DDPM (celeba_hq.ckpt). base_on_cpu: the original network waits in the CPU's memory.
    """
    unet = _meta_unet(arguments).train()
    if gradient_checkpointing:
        unet.enable_gradient_checkpointing()
    parameters = _parameters(unet)
    working = peak_bytes(lambda: _unet_call(unet, batch).sum().backward())  # the gradients are part of it
    return Memory(
        weights=parameters * FLOAT * (1 if base_on_cpu else 2),
        optimizer=parameters * ADAM,
        guide=_guide_bytes(batch, learning=True),
        working=working,
    )


def inference_memory(arguments: dict[str, Any] | None = None, *, batch: int = 1, edits: int = 1) -> Memory:
    """Carrying images across: the base and so many tuned networks on the device, one call at a time, CLIP for the score."""
    unet = _meta_unet(arguments).eval().requires_grad_(False)
    return Memory(
        weights=_parameters(unet) * FLOAT * (1 + edits),
        optimizer=0,
        guide=_guide_bytes(batch, learning=False),
        working=peak_bytes(lambda: _unet_call(unet, batch)),
    )


def peak_bytes(call: Callable[[], object]) -> int:
    """The most bytes that tensors made during the call hold at once. What existed before it does not count."""
    with _Living() as living:
        call()
    return living.peak


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the machine had too little memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)


def release() -> None:
    """Gives back what a failed attempt left behind. To be called after its exception is gone, for that one holds its tensors."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class _Living(TorchDispatchMode):
    """Counts the storages that are alive among those made while it is on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {id(leaf.untyped_storage()) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and id(leaf.untyped_storage()) not in given:
                self._note(leaf.untyped_storage())
        return out

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


def _meta_unet(arguments: dict[str, Any] | None) -> UNet2DModel:
    with torch.device("meta"):
        return UNet2DModel(**(arguments or ddpm_unet_config(DDPMConfig())))


def _unet_call(unet: UNet2DModel, batch: int) -> Tensor:
    side, channels = unet.config.sample_size, unet.config.in_channels
    x = torch.empty(batch, channels, side, side, device="meta")
    return unet(x, torch.zeros(batch, dtype=torch.long, device="meta")).sample


def _guide_bytes(batch: int, *, learning: bool) -> int:
    """CLIP's weights, and the tensors of one look at an image, with gradient into it when learning."""
    config = open_clip.get_model_config(GUIDE)
    with _on_meta():
        clip = build_clip(config).eval().requires_grad_(False)
    side = config["vision_cfg"]["image_size"]
    x = torch.empty(batch, 3, side, side, device="meta", requires_grad=learning)
    look = (lambda: clip.encode_image(x).sum().backward()) if learning else (lambda: clip.encode_image(x))
    return _parameters(clip) * FLOAT + peak_bytes(look)


@contextmanager
def _on_meta() -> Iterator[None]:
    """Modules made inside have shapes and no values, and draw no random ones."""
    with torch.device("meta"):
        yield


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())

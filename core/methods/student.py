"""The network that learns a target domain: a copy of the base's, trained whole or by low-rank adapters, and the average of its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from diffusers import UNet2DModel
from torch import Tensor, nn

from core.models.base import Base

Start = Literal["source", "scratch"]
ADAPTER = "default"  # peft's own name for the only adapter


class Student:
    """start: the base's own weights, or random ones by `seed`. rank: of the adapters (Hu et al., ICLR 2022); 0 trains every weight.

    `outputs(x, t)` → (ε, variance or None); `learning`: the parameters that learn, by name; `average`: their moving average.
    """

    def __init__(self, base: Base, start: Start = "source", rank: int = 0, seed: int = 0, gradient_checkpointing: bool = False) -> None:
        # Without dropout: the student starts as the very network that teaches it.
        self.unet = base.trainable_copy(gradient_checkpointing).eval()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if start == "scratch":
                self.unet.load_state_dict(type(self.unet).from_config(self.unet.config).state_dict())
            if rank:
                _adapt(self.unet, rank)
        self.outputs = base.outputs_of(self.unet)
        self.learning = {name: weight for name, weight in self.unet.named_parameters() if weight.requires_grad}
        self.average = {name: weight.detach().clone() for name, weight in self.learning.items()}

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """One step of the moving average: average ← decay·average + (1 − decay)·weights."""
        for name, mean in self.average.items():
            mean.lerp_(self.learning[name], 1.0 - decay)

    @torch.no_grad()
    def weights(self) -> dict[str, Tensor]:
        """The averaged network as a whole state dict of the base's names, a copy on the CPU; adapters are merged into what they adapt."""
        with self._averaged():
            state = _merged(self.unet)
            return {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in state.items()}

    def state(self) -> dict[str, dict[str, Tensor]]:
        """What `restore` takes."""
        return {"weights": {name: weight.detach() for name, weight in self.learning.items()}, "average": dict(self.average)}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Continues from what `state` gave."""
        _fill(self.learning, state["weights"])
        _fill(self.average, state["average"])

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The network with its averaged weights, for as long as the context lasts."""
        live = {name: weight.detach().clone() for name, weight in self.learning.items()}
        _fill(self.learning, self.average)
        try:
            yield
        finally:
            _fill(self.learning, live)


def _fill(weights: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, weight in weights.items():
        weight.copy_(values[name])


def _adapt(unet: UNet2DModel, rank: int) -> None:
    """Low-rank adapters on every linear and convolutional layer; only they learn. They begin as nothing."""
    from peft import LoraConfig, inject_adapter_in_model  # takes seconds to import, and most trainings need none

    layers = [name for name, module in unet.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=layers), unet)


def _merged(unet: UNet2DModel) -> dict[str, Tensor]:
    """The network's state dict without adapters: each adapted weight is base + B·A, under the name that it had before."""
    state = {name.replace(".base_layer", ""): value for name, value in unet.state_dict().items() if ".lora_" not in name}
    for name, module in unet.named_modules():
        if hasattr(module, "get_delta_weight") and hasattr(module, "base_layer"):
            state[f"{name}.weight"] = module.base_layer.weight + module.get_delta_weight(ADAPTER)
    return state

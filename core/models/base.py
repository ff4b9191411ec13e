"""The base: a diffusers UNet2DModel with what is needed to walk with it. Its weights are frozen; fine-tuning works on copies.

A base lives in a plain diffusers folder: `config.json`, `diffusion_pytorch_model.safetensors`, and optionally a `card.json` with
`name`, `domain`, `prediction` ("epsilon" or "v_prediction") and `schedule` ({"num_steps", "beta_start", "beta_end", "beta_schedule"}).
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import Tensor

from core.models.attention import guided, in_pairs
from core.models.fingerprint import weights_hash
from core.models.precision import best_dtype
from core.models.unet_folder import check_channels, load_weights, read_card, read_unet
from core.process.ddim import eps_from_velocity, split_learned_sigma
from core.process.schedule import Schedule
from core.types import EpsModel, ShiftlabError

PREDICTIONS = ("epsilon", "v_prediction")
_every: weakref.WeakSet[Base] = weakref.WeakSet()


class Base:
    """A frozen noise predictor on one device.

    dtype is that of autocast inside the network; float32 means none. compile uses torch.compile for `.eps` (a minute at the first call).
    Raises ShiftlabError for a prediction it does not know, for a network of pictures that have not 3 channels, and for one whose outputs
    are neither ε nor ε and variance.
    """

    def __init__(
        self,
        unet: UNet2DModel,
        *,
        schedule: Schedule | None = None,
        name: str = "base",
        domain: str = "",
        prediction: str = "epsilon",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        compile: bool = False,
    ) -> None:
        if prediction not in PREDICTIONS:
            raise ShiftlabError(f"The prediction type {prediction!r} is unknown. Use one of: {', '.join(PREDICTIONS)}.")
        channels, outputs = unet.config.in_channels, unet.config.out_channels
        check_channels(channels, outputs)
        self.device, self.dtype, self.compile = torch.device(device), dtype, compile
        self.schedule = (schedule or Schedule()).to(self.device)
        self.name, self.domain, self.prediction = name, domain, prediction
        self.learn_sigma = outputs == 2 * channels
        self.image_size = int(unet.config.sample_size)
        self.unet = unet.to(self.device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
        self._forward: Callable[..., object] = self._compiled(self.unet)
        _every.add(self)

    @cached_property
    def fingerprint(self) -> str:
        """The hash of the weights: an edit names the base it belongs to by it, and a trajectory is keyed by it."""
        return weights_hash(self.unet.state_dict())

    def eps(self, x: Tensor, t: Tensor) -> Tensor:
        """ε(x, t), float32 `(B, 3, H, W)`, from x `(B, 3, H, W)` and long t `(B,)`. Gradients flow to x where it asks for them."""
        self.awake()
        return self._outputs(self._forward, x, t, self.dtype)[0]

    def guided(self, scale: float) -> EpsModel:
        """`eps` with perturbed-attention guidance of this scale, for twice the time; 0 is `eps` itself. See core/models/attention.py.

        Raises ShiftlabError, for a scale above 0, where the network has no self-attention.
        """
        if scale == 0.0:
            return self.eps
        forward = self._in_pairs

        def pairs(x: Tensor, t: Tensor) -> Tensor:
            self.awake()
            return self._outputs(forward, x, t, self.dtype)[0]

        return guided(pairs, scale)

    @cached_property
    def _in_pairs(self) -> Callable[..., object]:
        return self._compiled(in_pairs(self.unet))

    def _compiled(self, unet: UNet2DModel) -> Callable[..., object]:
        return torch.compile(unet) if self.compile else unet

    def park(self) -> bool:
        """Leaves the weights in the CPU's memory until the next call of `eps`. Returns whether they were elsewhere."""
        on_device = next(self.unet.parameters()).device.type != "cpu"
        if on_device:
            self.unet.to("cpu")
        return on_device

    def awake(self) -> None:
        """Brings parked weights back to the device."""
        if next(self.unet.parameters()).device.type != self.device.type:
            self.unet.to(self.device)

    def eps_model(self, unet: UNet2DModel) -> EpsModel:
        """The noise predictor of another network of this architecture, read in the same way: for a copy that is being trained.

        Where the base walks in float16 the copy computes in float32, for float16 has no range for gradients.
        """
        outputs = self.outputs_of(unet)
        return lambda x, t: outputs(x, t)[0]

    def outputs_of(self, unet: UNet2DModel) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor | None]]:
        """As `eps_model`, with what a learned-sigma network says of the variance beside ε, `(B, 3, H, W)`; None for other networks."""
        dtype = torch.float32 if self.dtype == torch.float16 else self.dtype
        return lambda x, t: self._outputs(unet, x, t, dtype)

    def _outputs(self, forward: Callable[..., object], x: Tensor, t: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype != torch.float32):
            out = forward(x.contiguous(memory_format=torch.channels_last), t, return_dict=False)[0]
        return self.read(out, x, t)

    def read(self, out: Tensor, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the network's output at x and t says: ε, float32 `(B, 3, H, W)`, and of the variance, where it is learned."""
        out, variance = split_learned_sigma(out.float()) if self.learn_sigma else (out.float(), None)
        return (eps_from_velocity(out, x, self.schedule.alpha_bar_at(t)) if self.prediction == "v_prediction" else out), variance

    def state_dict(self) -> dict[str, Tensor]:
        """The network's weights, not copied."""
        return self.unet.state_dict()

    def tuned(self, weights: Mapping[str, Tensor]) -> Base:
        """A base like this one with other weights, in a network of its own. Raises ShiftlabError when they do not fit."""
        unet = copy.deepcopy(self.unet)
        load_weights(unet, weights)
        return self._like(unet, self.dtype)

    def with_dtype(self, dtype: torch.dtype) -> Base:
        """This base, its network shared, with another autocast precision."""
        return self._like(self.unet, dtype)

    def trainable_copy(self, gradient_checkpointing: bool = False) -> UNet2DModel:
        """A copy of the network in train mode whose weights take gradients; use it through `eps_model`.

        gradient_checkpointing recomputes activations in the backward pass: about a third more time for a fraction of the memory.
        """
        unet = copy.deepcopy(self.unet).to(self.device).train().requires_grad_(True)
        if gradient_checkpointing:
            unet.enable_gradient_checkpointing()
        return unet

    def _like(self, unet: UNet2DModel, dtype: torch.dtype) -> Base:
        return Base(
            unet,
            schedule=self.schedule,
            name=self.name,
            domain=self.domain,
            prediction=self.prediction,
            device=self.device,
            dtype=dtype,
            compile=self.compile,
        )


def park_all() -> bool:
    """Parks every base and tuned network of this process; those that are needed come back by themselves. Returns whether any was moved.

    To be called with the lock on the device held: no network may be at work.
    """
    return any([base.park() for base in list(_every)])


def load_base(folder: Path | str, device: torch.device | str = "cpu", dtype: torch.dtype | None = None, compile: bool = False) -> Base:
    """The base in a plain diffusers folder. dtype None takes bfloat16 where the device has it, else float32.

    Raises ShiftlabError for a missing folder or file, unreadable JSON, another kind of model, an impossible schedule, or weights that do
    not fit the configuration.
    """
    folder = Path(folder)
    card = read_card(folder)
    return Base(
        read_unet(folder),
        schedule=_schedule(folder, card),
        name=card.get("name", folder.name),
        domain=card.get("domain", ""),
        prediction=card.get("prediction", "epsilon"),
        device=device,
        dtype=best_dtype(device) if dtype is None else dtype,
        compile=compile,
    )


def _schedule(folder: Path, card: Mapping[str, Any]) -> Schedule:
    """The schedule that a base's card names, or DDPM's own."""
    try:
        return Schedule(**card.get("schedule", {}))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ShiftlabError(f"The card of {folder} names a noise schedule that cannot be walked ({error}) Correct its schedule.") from error

"""A text-to-image model: latent diffusion conditioned on a prompt (Rombach et al. 2022), in the form of every Stable Diffusion 1.x.

It lives in diffusers' pipeline folder: `model_index.json` and the parts `vae/`, `text_encoder/`, `tokenizer/`, `unet/`, `scheduler/`, which
core/models/pipeline_folder.py reads. Like a base it is frozen; fine-tuning works on copies of its networks (`with_parts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from core.models.fingerprint import weights_hash
from core.models.pipeline_folder import read_pipeline
from core.models.precision import best_dtype
from core.process.ddim import eps_from_velocity
from core.process.noise import ItemNoise
from core.process.schedule import Schedule
from core.types import EpsModel

OLD_PREFIX = "text_model."  # of the text encoder's weights in the memory of transformers before 5


class TextToImage:
    """The parts of a latent diffusion model on one device.

    vae, text_encoder, unet: networks with float32 weights, in eval mode. schedule: noise levels of the latents. prediction: what the
    network says, "epsilon" or "v_prediction". dtype: of autocast inside the networks; float32 means none. image_size: pixels a side.
    latent_shape: `(C, h, w)` of one image's latent. Nothing here switches gradients off: frozen weights build no graph.
    """

    def __init__(
        self,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        unet: UNet2DConditionModel,
        schedule: Schedule,
        *,
        name: str = "text-to-image",
        prediction: str = "epsilon",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.device, self.dtype, self.name, self.prediction = torch.device(device), dtype, name, prediction
        self.vae = vae.to(self.device)
        self.text_encoder = text_encoder.to(self.device)
        self.unet = unet.to(self.device).to(memory_format=torch.channels_last)
        self.tokenizer, self.schedule = tokenizer, schedule.to(self.device)
        self.image_size = int(unet.config.sample_size) * 2 ** (len(vae.config.block_out_channels) - 1)
        side = int(unet.config.sample_size)
        self.latent_shape = (int(unet.config.in_channels), side, side)

    @cached_property
    def fingerprint(self) -> str:
        """The hash of the weights of all three networks."""
        parts = {"vae": self.vae, "text_encoder": self.text_encoder, "unet": self.unet}
        names = ((part, name, value) for part, network in parts.items() for name, value in network.state_dict().items())
        return weights_hash({f"{part}.{name.removeprefix(OLD_PREFIX)}": value for part, name, value in names})

    @property
    def model(self) -> nn.Module:
        """All three networks as one module: for counting what they hold."""
        return nn.ModuleList([self.vae, self.text_encoder, self.unet])

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """The prompts as the UNet reads them, float32 `(B, L, D)`; what exceeds the tokenizer's length is cut off. "" is no prompt."""
        tokens = self.tokenizer(
            list(prompts), padding="max_length", max_length=self.tokenizer.model_max_length, truncation=True, return_tensors="pt"
        )
        with self._autocast():
            return self.text_encoder(tokens.input_ids.to(self.device)).last_hidden_state.float()

    def to_latents(self, images: Tensor, noise: ItemNoise | None = None) -> Tensor:
        """Images `(B, 3, H, W)` in [-1, 1] → latents `(B, C, h, w)`, scaled to about unit variance: the posterior's mean, or a draw."""
        with self._autocast():
            posterior = self.vae.encode(images.to(self.device)).latent_dist
        mean, std = posterior.mean.float(), posterior.std.float()
        latents = mean if noise is None else mean + std * noise.normal(mean.shape[1:]).to(self.device)
        return (latents - self._shift) * self.vae.config.scaling_factor

    def to_images(self, latents: Tensor) -> Tensor:
        """Latents `(B, C, h, w)` → images `(B, 3, H, W)`, float32, in [-1, 1] up to a little overshoot: clamp them to look at them."""
        with self._autocast():
            return self.vae.decode(latents / self.vae.config.scaling_factor + self._shift, return_dict=False)[0].float()

    def eps(self, latents: Tensor, t: Tensor, embeddings: Tensor) -> Tensor:
        """ε(z, t, prompt), float32 `(B, C, h, w)`, from latents z, long t `(B,)` and embeddings `(B, L, D)`."""
        with self._autocast():
            out = self.unet(latents.contiguous(memory_format=torch.channels_last), t, embeddings, return_dict=False)[0].float()
        return eps_from_velocity(out, latents, self.schedule.alpha_bar_at(t)) if self.prediction == "v_prediction" else out

    def guided(self, embeddings: Tensor, empty: Tensor, guidance: float) -> EpsModel:
        """The noise predictor of these prompts with classifier-free guidance (Ho & Salimans 2022): ε(∅) + guidance·(ε(prompt) − ε(∅)).

        embeddings `(B, L, D)`; empty: that of "" (or of a negative prompt), `(1 or B, L, D)`. guidance 1 means none and saves half the
        calls. For `core.process.sampling.generate`.
        """
        if guidance == 1.0:
            return lambda z, t: self.eps(z, t, embeddings)
        both = torch.cat([empty.expand_as(embeddings), embeddings])

        def eps_model(z: Tensor, t: Tensor) -> Tensor:
            without, with_prompt = self.eps(torch.cat([z, z]), torch.cat([t, t]), both).chunk(2)
            return without + guidance * (with_prompt - without)

        return eps_model

    def with_parts(self, *, unet: UNet2DConditionModel | None = None, text_encoder: CLIPTextModel | None = None) -> TextToImage:
        """A model like this with other networks in place of its own, the rest shared: for copies that are trained or carry LoRA.

        Where this one computes in float16, the other computes in float32, for float16 has no range for gradients.
        """
        return TextToImage(
            self.vae, text_encoder or self.text_encoder, self.tokenizer, unet or self.unet, self.schedule, name=self.name,
            prediction=self.prediction, device=self.device, dtype=torch.float32 if self.dtype == torch.float16 else self.dtype,
        )  # fmt: skip

    @property
    def _shift(self) -> float:
        return getattr(self.vae.config, "shift_factor", None) or 0.0

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)


def load_text_to_image(where: Path | str, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> TextToImage:
    """The model in a pipeline folder of Stable Diffusion 1.x. dtype None takes the device's best (core/models/precision.py).

    Raises ShiftlabError for a folder that is no such pipeline, that lacks a part or has its weights only as pickles.
    """
    parts = read_pipeline(Path(where))
    return TextToImage(
        parts.vae, parts.text_encoder, parts.tokenizer, parts.unet, parts.schedule, name=parts.name, prediction=parts.prediction,
        device=device, dtype=best_dtype(device) if dtype is None else dtype,
    )  # fmt: skip

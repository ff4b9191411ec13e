"""The autoencoder of `checkpoints/streets`: 64 px pictures to 8×16×16 latents and back, sharp enough that a distant traffic light survives.

It is diffusers' AutoencoderKL without attention. From nothing, encoder and decoder need long to agree on a code. Here they need not: the
code is given beforehand, the principal components of 4×4 patches, which eight numbers of 48 already bring to 27 dB on streets by day. The
encoder learns to give them; the decoder learns at first from the components themselves, then from what the encoder makes of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn

from core.pretrain import common
from core.pretrain.streets_data import Pictures, crop_batch

IMAGE_SIZE, LATENT_CHANNELS, FACTOR = 64, 8, 4
CHANNELS = (32, 32, 64)
SMALL = 32  # pixels a side of the crops of the first part
SMALL_UNTIL = 0.75  # of the budget
GIVEN_UNTIL = 0.4  # of the budget, the decoder reads the components themselves
NOISE = 0.03  # deviation of the posterior, beside latents of about 1
EDGES_WEIGHT, CODE_WEIGHT = 0.5, 0.5
FITTED = 1_500  # crops from which the components are found
SCALES = 2  # at which edges are compared
EMA_DECAY = 0.995
WARMUP_STEPS = 100


def build_vae() -> AutoencoderKL:
    """0.7 M parameters. One group in each norm: more would hide from the next layer how bright and colourful a picture is."""
    return AutoencoderKL(
        block_out_channels=CHANNELS,
        down_block_types=("DownEncoderBlock2D",) * len(CHANNELS),
        up_block_types=("UpDecoderBlock2D",) * len(CHANNELS),
        layers_per_block=1,
        norm_num_groups=1,
        latent_channels=LATENT_CHANNELS,
        sample_size=IMAGE_SIZE,
        mid_block_add_attention=False,
    )


def edges_error(made: Tensor, true: Tensor) -> Tensor:
    """Mean absolute difference of the horizontal and vertical gradients, at full and at half resolution: `()`."""
    total = made.new_zeros(())
    for scale in range(SCALES):
        error = F.avg_pool2d(made - true, 2**scale) if scale else made - true
        total = total + error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return total / (2 * SCALES)


class PatchCode(nn.Module):
    """Images `(B, 3, H, W)` → the first principal components of their 4×4 patches, `(B, LATENT_CHANNELS, H / 4, W / 4)`.

    Each is divided by the root of its deviation: half way to equal variances, so that coarse things stay louder than fine ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(LATENT_CHANNELS, 3, FACTOR, FACTOR))
        self.register_buffer("bias", torch.zeros(LATENT_CHANNELS))

    def fit(self, x: Tensor) -> None:
        """Finds the components in crops `(n, 3, H, W)`; a component's largest number is positive."""
        patches = F.unfold(x.contiguous(), FACTOR, stride=FACTOR).transpose(0, 1).flatten(1).double()
        mean = patches.mean(1)
        values, vectors = torch.linalg.eigh(torch.cov(patches))
        basis = vectors[:, -LATENT_CHANNELS:].flip(1).T * values[-LATENT_CHANNELS:].flip(0)[:, None] ** -0.25
        basis = basis * basis.gather(1, basis.abs().argmax(1, keepdim=True)).sign()
        self.weight.copy_(basis.reshape(self.weight.shape))
        self.bias.copy_(-basis @ mean)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, stride=FACTOR)


class VaeTraining:
    """Network, average and optimizer, and one step of them on crops of pictures, each set drawn with its share."""

    def __init__(self, vae: AutoencoderKL, sets: Sequence[Pictures], shares: Sequence[float], batch: int, lr: float, device: torch.device):
        self.vae = vae.to(device, memory_format=torch.channels_last).train()
        self.ema = common.Ema(self.vae, type(vae).from_config(vae.config).to(device, memory_format=torch.channels_last), decay=EMA_DECAY)
        self.optimizer = torch.optim.AdamW(self.vae.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
        self.sets, self.shares, self.batch, self.lr, self.device = sets, shares, batch, lr, device
        self.code = PatchCode().to(device)
        self.code.fit(crop_batch(sets, shares, FITTED, IMAGE_SIZE).to(device))

    def step(self, step: int, progress: float) -> Mapping[str, float | Tensor]:
        """One optimizer step on `batch` small crops, or on a quarter as many whole ones: the same number of pixels."""
        common.set_learning_rate(self.optimizer, common.learning_rate(progress, step, self.lr, WARMUP_STEPS))
        side = SMALL if progress < SMALL_UNTIL else IMAGE_SIZE
        count = max(1, self.batch * SMALL**2 // side**2)
        x = crop_batch(self.sets, self.shares, count, side).to(self.device)
        code = self.code(x)
        with common.autocast(self.device):
            posterior = self.vae.encode(x).latent_dist
            mean, logvar = posterior.mean.float(), posterior.logvar.float()
            read = code if progress < GIVEN_UNTIL else mean
            made = self.vae.decode(read + NOISE * torch.randn_like(read), return_dict=False)[0].float()
        absolute, edges = (made - x).abs().mean(), edges_error(made, x)
        of_code, of_noise = (mean - code).square().mean(), (logvar - 2 * math.log(NOISE)).square().mean()
        self.optimizer.zero_grad(set_to_none=True)
        (absolute + EDGES_WEIGHT * edges + CODE_WEIGHT * of_code + 0.01 * of_noise).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.optimizer.step()
        self.ema.update(step)
        return {"l1": absolute.detach(), "edges": edges.detach(), "code": of_code.detach(), "noise": of_noise.detach(), "norm": norm}


@torch.no_grad()
def encoded(vae: AutoencoderKL, images: np.ndarray, device: torch.device, chunk: int = 64) -> Tensor:
    """Unscaled posterior means of uint8 images `(n, 3, 64, 64)`, float16 `(n, 8, 16, 16)` on the CPU."""
    parts = []
    for start in range(0, len(images), chunk):
        x = torch.from_numpy(np.array(images[start : start + chunk])).to(device, torch.float32) / 127.5 - 1
        with common.autocast(device):
            mean = vae.encode(x.contiguous(memory_format=torch.channels_last)).latent_dist.mean
        parts.append(mean.half().cpu())
    return torch.cat(parts)


@torch.no_grad()
def reconstructed(vae: AutoencoderKL, x: Tensor, chunk: int = 32) -> Tensor:
    """Images `(n, 3, H, W)` in [-1, 1] through the latents' means and back, in float32."""
    parts = [vae.decode(vae.encode(part).latent_dist.mean, return_dict=False)[0] for part in x.split(chunk)]
    return torch.cat(parts).clamp(-1, 1)


def psnr(made: Tensor, true: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of images in [-1, 1], over all of them together."""
    return -10 * math.log10(max(((made - true) / 2).square().mean().item(), 1e-12))

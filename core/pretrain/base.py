"""The diffusion base: a plain diffusers UNet2DModel at 64 px, trained on drawn photo portraits only.

    python -m core.pretrain.base --threads 1 --compile    # 140 minutes: about 5,500 steps of 32 on one busy AMX core
    python -m core.pretrain.base --evaluate               # measures checkpoints/base again and renews its card

Run it again to resume. What the embedded base reaches stands in checkpoints/base/card.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import UNet2DModel
from safetensors.torch import save_file
from torch import Tensor

from core.models.base import load_base
from core.models.unet_folder import CONFIG, WEIGHTS
from core.pretrain import common
from core.pretrain.base_quality import SCALES, free_samples, measure, write_sheet
from core.pretrain.dataset import batch_of, rendered
from core.process.ddim import add_noise
from core.process.schedule import Schedule
from core.worlds import portraits as world

TITLE = "Portraits base"
PURPOSE = "Unconditional diffusion model of 64×64 drawn photo portraits: the base that every edit starts from."
PORTRAITS, PORTRAITS_SEED = 16_000, 1
POOL = 8  # side of the blocks over which the coarse error is averaged
COARSE_WEIGHT = 0.5
WARMUP_STEPS = 200
EMA_DECAY = 0.995  # a horizon of 200 steps: a tenth of a short training, whose learning rate anneals by itself
BALANCE = 0.4  # how the error of ε grows with the SNR
NOISE_SPREAD = 0.08  # of the logarithm of the noise's strength


def build() -> UNet2DModel:
    """3.8 M parameters; attention at 16 and 8 px with heads of 32 channels (heads of 8, the default, take half as long again on a CPU)."""
    return UNet2DModel(
        sample_size=64,
        block_out_channels=(32, 64, 96, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
        attention_head_dim=32,
    )


def denoising_losses(predicted: Tensor, noise: Tensor, snr: Tensor) -> tuple[Tensor, Tensor]:
    """(fine, coarse): the error of ε, balanced over the timesteps, and that of its block means, both `()`.

    fine: after a while the squared error of ε on these portraits goes as SNR^0.4, from 0.4 at t = 1 down to 0.002 at t = 999, so a plain
    mean is all about the last bit of noise, which nobody can predict. But at high t an error of ε is amplified by 1/√ᾱ, up to 150, in x̂0:
    free samples stay grainy and six-step generation is poor. Dividing by SNR^0.4 makes every timestep count alike, as the learned
    uncertainty of Karras et al. 2024 (EDM2, eq. 14–16) would. coarse: colours and outlines are a few coefficients among thousands, hence
    a term on POOL×POOL means. A block holds POOL² pixels of signal against noise, hence the P2-like weight 1/(1 + (POOL/2)²·SNR) for
    images of standard deviation 1/2: below that noise the means of ε cannot be told from the image and would only add variance.
    Neither changes which prediction is best.
    """
    error = predicted - noise
    fine = error.square().mean(dim=(1, 2, 3)) * snr**-BALANCE
    coarse = F.avg_pool2d(error, POOL).square().mean(dim=(1, 2, 3)) * POOL**2 / (1 + (POOL / 2) ** 2 * snr)
    return fine.mean(), coarse.mean()


def varied_noise(x0: Tensor) -> Tensor:
    """Normal noise like x0 `(n, 3, H, W)` whose strength differs from item to item, by about 8 %.

    A latent that inversion or a large DDIM step has left is never quite as noisy as its timestep says (inverted portraits at 601 have a
    standard deviation of 0.93, not 1). A network that has only seen the exact strength predicts it regardless of the input, and the
    difference stays in the picture as a ghost or as grain. Perturbed inputs against this exposure bias: Ning et al., ICML 2023.
    """
    strength = torch.exp(NOISE_SPREAD * torch.randn(len(x0), 1, 1, 1, device=x0.device))
    return torch.randn_like(x0) * strength


class BaseTraining:
    """Network, average and optimizer, and one step of them on images uint8 `(n, 3, 64, 64)`."""

    def __init__(self, unet: UNet2DModel, images: np.ndarray, batch: int, lr: float, device: torch.device, compile: bool = False) -> None:
        self.unet = unet.to(device, memory_format=torch.channels_last).train()
        self.ema = common.Ema(self.unet, type(unet).from_config(unet.config).to(device, memory_format=torch.channels_last), decay=EMA_DECAY)
        self.optimizer = torch.optim.AdamW(self.unet.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
        self.images, self.batch, self.lr, self.device = images, batch, lr, device
        self.schedule = Schedule().to(device)
        self._forward = torch.compile(self.unet) if compile else self.unet

    def step(self, step: int, progress: float) -> Mapping[str, float | Tensor]:
        """One optimizer step on a random batch; the timesteps of a batch are spread evenly over the range."""
        common.set_learning_rate(self.optimizer, common.learning_rate(progress, step, self.lr, WARMUP_STEPS))
        x0 = batch_of(self.images, torch.randint(len(self.images), (self.batch,)), self.device)
        t = (common.low_discrepancy(self.batch, torch.rand(()).item()) * self.schedule.num_steps).long().to(self.device)
        noise = varied_noise(x0)
        with common.autocast(self.device):
            predicted = self._forward(add_noise(x0, t, noise, self.schedule), t, return_dict=False)[0]
        fine, coarse = denoising_losses(predicted.float(), noise, self.schedule.snr(t))
        self.optimizer.zero_grad(set_to_none=True)
        (fine + COARSE_WEIGHT * coarse).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.unet.parameters(), 1.0)
        self.optimizer.step()
        self.ema.update(step)
        return {"loss": fine.detach(), "coarse": coarse.detach(), "norm": norm, "lr": self.optimizer.param_groups[0]["lr"]}


def export(unet: UNet2DModel, folder: Path, facts: Mapping[str, Any]) -> None:
    """A plain diffusers folder in half precision (read back as float32), with card and README: what `load_base` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"_class_name": type(unet).__name__, **{k: v for k, v in unet.config.items() if not k.startswith("_")}}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    save_file({name: value.half().contiguous() for name, value in unet.state_dict().items()}, folder / WEIGHTS, {"format": "pt"})
    common.write_card(folder, TITLE, PURPOSE, {"name": TITLE, "domain": "photo", "prediction": "epsilon", **facts})


def evaluate(folder: Path, judge: Path, sheet: Path, count: int) -> None:
    """Measure the model in a folder on unseen portraits, put the figures into its card, and draw its free samples, plain and guided."""
    base, card = load_base(folder), common.read_card(folder)
    samples = {scale: free_samples(base, count, guidance=scale) for scale in SCALES}
    for scale, images in samples.items():
        write_sheet(images, sheet.with_stem(sheet.stem + ("_guided" if scale else "")))
    facts = {name: value for name, value in card.items() if name not in ("title", "purpose", "measured")}
    common.write_card(folder, TITLE, PURPOSE, {**facts, "measured": measure(base, samples, judge, count)})


def train(options: argparse.Namespace) -> None:
    device = common.prepare(options)
    images = rendered(world.sample(PORTRAITS, PORTRAITS_SEED), "photo", options.cache)
    training = BaseTraining(build(), images, options.batch, options.lr, device, options.compile)
    modules = {"live": training.unet, "averaged": training.ema.module}
    state = common.StateFolder(options.work / "state", modules, {"optimizer": training.optimizer})
    log = common.Log(options.work / "log.jsonl", every=50)

    def on_save(step: int) -> None:
        export(training.ema.module, options.work / "unfinished", {"steps": step})
        write_sheet(free_samples(load_base(options.work / "unfinished"), 16), options.work / f"samples-{step:06d}.png")

    budget = common.Budget(options.minutes, options.steps)
    steps, seconds = common.run(training.step, state, budget, log, options.seed, save_minutes=12, on_save=on_save)
    data = f"{PORTRAITS} drawn photo portraits (seed {PORTRAITS_SEED})"
    facts = common.run_facts("core.pretrain.base", data, f"{steps} batches of {options.batch}", device, seconds)
    export(training.ema.module, options.out, facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=PURPOSE)
    common.add_options(parser, out="checkpoints/base", minutes=140, batch=32, lr=8e-4)
    parser.add_argument("--evaluate", action="store_true", help="measure the model in --out instead of training one")
    parser.add_argument("--judge", type=Path, default=Path("checkpoints/judge"), help="folder of the judge of the free samples")
    parser.add_argument("--count", type=int, default=64, help="portraits and free samples to measure with")
    options = parser.parse_args()
    if options.evaluate:
        common.prepare(options)
        evaluate(options.out, options.judge, options.out / "samples.png", options.count)
    else:
        train(options)


if __name__ == "__main__":
    common.run_command(main)

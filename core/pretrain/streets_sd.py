"""The text-to-image model of streets: a small Stable Diffusion for 64 px crops of streets by day, in rain and in snow, and for portraits.

    python -m core.pretrain.streets_sd --threads 1      # autoencoder, then UNet with text encoder
    python -m core.pretrain.streets_sd --evaluate       # measures checkpoints/streets again and renews its card

Run it again to resume. Night and fog are in no picture: DATUM learns them from one. What the embedded model reaches stands in
checkpoints/streets/card.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextModel

from core.models.clip_tokenizer import clip_tokenizer
from core.models.text_to_image import load_text_to_image
from core.pretrain import common
from core.pretrain.base_quality import write_sheet
from core.pretrain.streets_data import Pictures, portrait_sets, street_sets
from core.pretrain.streets_examples import STREETS_SHARE, Examples, examples
from core.pretrain.streets_export import SCHEDULE, export
from core.pretrain.streets_quality import SHEET_PROMPTS, measure, samples
from core.pretrain.streets_text import LENGTH, WIDTH, build_text_encoder
from core.pretrain.streets_vae import IMAGE_SIZE, LATENT_CHANNELS, VaeTraining, build_vae, psnr, reconstructed
from core.process.ddim import add_noise
from core.process.schedule import Schedule

TITLE = "Streets text-to-image"
PURPOSE = (
    "A small Stable Diffusion for 64×64 crops of drawn streets by day, in rain and in snow, and for portraits in four styles. "
    "Night and fog are left for DATUM to learn."
)
EMPTY_SHARE = 0.1  # of captions left out, for classifier-free guidance
BALANCE = 0.4  # how the error of ε grows with the SNR, see core/pretrain/base.py
WARMUP_STEPS = 100
EMA_DECAY = 0.995
VAE_LR, VAE_BATCH = 2e-3, 16


def build_unet() -> UNet2DConditionModel:
    """6.6 M parameters; reads the prompt at 8 and 4 px of its 16 px latents, with heads of 32 channels."""
    return UNet2DConditionModel(
        sample_size=IMAGE_SIZE // 4,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 128, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,  # diffusers' name for the number of heads
        norm_num_groups=8,
    )


class DiffusionTraining:
    """UNet and text encoder from scratch, their averages, and one step of them on latents and tokens. scale: 1 / the latents' deviation."""

    def __init__(self, unet: UNet2DConditionModel, text: CLIPTextModel, data: Examples, scale: float, batch: int, lr: float, device: Any):
        self.unet, self.text = unet.to(device, memory_format=torch.channels_last).train(), text.to(device).train()
        self.ema = common.Ema(self.unet, type(unet).from_config(unet.config).to(device, memory_format=torch.channels_last), EMA_DECAY)
        self.text_ema = common.Ema(self.text, type(text)(text.config).to(device), EMA_DECAY)
        groups = [{"params": list(self.unet.parameters())}, {"params": list(self.text.parameters()), "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
        self.data, self.scale, self.batch, self.lr, self.device = data, scale, batch, lr, device
        self.schedule = Schedule(**SCHEDULE).to(device)
        self.empty = clip_tokenizer(LENGTH)("", padding="max_length", return_tensors="pt").input_ids

    def step(self, step: int, progress: float) -> Mapping[str, float | Tensor]:
        """One optimizer step; the timesteps of a batch are spread evenly over the range, and each counts alike."""
        common.set_learning_rate(self.optimizer, common.learning_rate(progress, step, self.lr, WARMUP_STEPS))
        latents, tokens = self.data.draw(self.batch)
        tokens = torch.where(torch.rand(self.batch, 1) < EMPTY_SHARE, self.empty, tokens).to(self.device)
        z = (latents * self.scale).to(self.device).contiguous(memory_format=torch.channels_last)
        t = (common.low_discrepancy(self.batch, torch.rand(()).item()) * self.schedule.num_steps).long().to(self.device)
        noise = torch.randn_like(z)
        with common.autocast(self.device), _attention(self.device):
            embeddings = self.text(tokens).last_hidden_state
            predicted = self.unet(add_noise(z, t, noise, self.schedule), t, embeddings, return_dict=False)[0].float()
            error = (predicted - noise).square().mean(dim=(1, 2, 3))
            loss = (error * self.schedule.snr(t) ** -BALANCE).mean()
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
        norm = torch.nn.utils.clip_grad_norm_([p for group in self.optimizer.param_groups for p in group["params"]], 1.0)
        self.optimizer.step()
        self.ema.update(step)
        self.text_ema.update(step)
        return {"loss": loss.detach(), "mse": error.mean().detach(), "norm": norm}


def _attention(device: torch.device) -> AbstractContextManager[Any]:
    """On a CPU plain attention is faster than the fused one for sequences as short as these: a step takes about a tenth less."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def train_vae(options: argparse.Namespace, sets: list[Pictures], device: torch.device) -> tuple[AutoencoderKL, int, float]:
    """(averaged autoencoder, steps, seconds of training)."""
    work = options.work / "vae"
    work.mkdir(parents=True, exist_ok=True)
    weathers = len(sets) - 4
    shares = [STREETS_SHARE / weathers] * weathers + [(1 - STREETS_SHARE) / 4] * 4
    training = VaeTraining(build_vae(), sets, shares, VAE_BATCH, VAE_LR, device)
    modules = {"live": training.vae, "averaged": training.ema.module, "code": training.code}
    state = common.StateFolder(work / "state", modules, {"optimizer": training.optimizer})
    shown = torch.cat([torch.tensor(part.images[:4, :, :, :IMAGE_SIZE]).float() / 127.5 - 1 for part in sets]).to(device)

    def on_save(step: int) -> None:
        made = reconstructed(training.ema.module, shown)
        log.write({"step": step, "psnr": round(psnr(made, shown), 2)})
        write_sheet(torch.cat([shown, made]), work / f"vae-{step:06d}.png", len(shown))

    log = common.Log(work / "log.jsonl", every=25)
    budget = common.Budget(options.vae_minutes, options.vae_steps)
    steps, seconds = common.run(training.step, state, budget, log, options.seed, save_minutes=2, on_save=on_save)
    return training.ema.module, steps, seconds


def train(options: argparse.Namespace) -> None:
    device = common.prepare(options)
    streets, people = street_sets(options.cache, options.scale), portrait_sets(options.cache, options.scale)
    vae, vae_steps, vae_seconds = train_vae(options, [*streets, *people], device)
    data = examples(streets, people, vae, clip_tokenizer(LENGTH), options.work, options.seed)
    scale = 1 / data.latents.float().std().item()
    torch.manual_seed(options.seed)
    training = DiffusionTraining(build_unet(), build_text_encoder(), data, scale, options.batch, options.lr, device)
    modules = {"unet": training.unet, "text": training.text, "unet_average": training.ema.module, "text_average": training.text_ema.module}
    state = common.StateFolder(options.work / "state", modules, {"optimizer": training.optimizer})

    def save(folder: Path, facts: Mapping[str, Any]) -> None:
        export(vae, scale, training.text_ema.module, training.ema.module, folder)
        common.write_card(folder, TITLE, PURPOSE, {"name": TITLE, "image_size": IMAGE_SIZE, **facts})

    def on_save(step: int) -> None:
        save(options.work / "unfinished", {"steps": step})
        model = load_text_to_image(options.work / "unfinished", device)
        write_sheet(samples(model, SHEET_PROMPTS, steps=20), options.work / f"samples-{step:06d}.png", 8)

    log = common.Log(options.work / "log.jsonl", every=25)
    budget = common.Budget(options.minutes, options.steps)
    steps, seconds = common.run(training.step, state, budget, log, options.seed, save_minutes=4, on_save=on_save)
    counts = ", ".join(f"{len(part.images)} {part.name}" for part in (*streets, *people))
    said = f"autoencoder: {vae_steps} batches; UNet and text encoder: {steps} batches of {options.batch}"
    save(options.out, common.run_facts("core.pretrain.streets_sd", f"drawn pictures: {counts}", said, device, vae_seconds + seconds))


def evaluate(folder: Path, cache: Path, count: int, judge_steps: int, device: torch.device) -> None:
    """Measure the model in a folder, put the figures into its card, and draw its samples."""
    model, card = load_text_to_image(folder, device), common.read_card(folder)
    write_sheet(samples(model, SHEET_PROMPTS), folder / "samples.png", 8)
    facts = {name: value for name, value in card.items() if name not in ("title", "purpose", "measured")}
    common.write_card(folder, TITLE, PURPOSE, {**facts, "measured": measure(model, cache, count, judge_steps)})


def main() -> None:
    parser = argparse.ArgumentParser(description=PURPOSE)
    common.add_options(parser, out="checkpoints/streets", minutes=100, batch=32, lr=8e-4)
    parser.add_argument("--vae-minutes", type=float, default=11, help="training time of the autoencoder")
    parser.add_argument("--vae-steps", type=int, default=None, help="its steps (in place of --vae-minutes)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the pictures to draw, for a trial")
    parser.add_argument("--evaluate", action="store_true", help="measure the model in --out instead of training one")
    parser.add_argument("--count", type=int, default=32, help="samples of each prompt to measure with")
    parser.add_argument("--judge-steps", type=int, default=300, help="training of the judge that looks for things; 0: it does not look")
    options = parser.parse_args()
    if options.evaluate:
        evaluate(options.out, options.cache, options.count, options.judge_steps, common.prepare(options))
    else:
        train(options)


if __name__ == "__main__":
    common.run_command(main)

"""Recipe of the embedded CLIP: open_clip's own class with a small convolutional tower, taught so that its gradients are worth following.

    python -m core.pretrain.clip --out checkpoints/clip --threads 1                   # goes on where it was stopped
    python -m core.pretrain.clip --out checkpoints/clip --evaluate                    # measures, writes the card and the sheets again

After a short clean start it is trained adversarially by the free method (Shafahi et al., NeurIPS 2019): each batch is replayed REPLAYS
times, and every backward pass serves both the weights and the perturbation. Beside the contrastive loss stand the terms of `clip_losses`:
zero-shot domains and attributes, and the cosine between image and text directions of paired renderings, the number that an edit climbs.
What the last run reached stands in checkpoints/clip/README.md.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.clip import build_clip, load_clip, save_clip
from core.pretrain import common
from core.pretrain.adversary import ascend, random_start
from core.pretrain.attempts import Attempts
from core.pretrain.clip_batch import Batch, draw_batch
from core.pretrain.clip_losses import clip_losses, weighted_sum
from core.pretrain.clip_quality import measure, write_sheets
from core.pretrain.pairs import PORTRAITS, PORTRAITS_SEED, PairedSet, paired_set
from core.pretrain.wording import TEMPLATES, Reader, taught_tokens

TITLE = "Shiftlab portraits CLIP"
PURPOSE = "open_clip's CLIP, small, for drawn portraits in five domains: trained adversarially, so that its gradients can be followed."
MODEL = {
    "embed_dim": 128,
    "vision_cfg": {"layers": [1, 1, 2, 1], "width": 28, "image_size": 64},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 64, "heads": 4, "layers": 2},
}
CONFIG = {"model_cfg": MODEL, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
GROUP = 4  # pictures a portrait in a batch
REPLAYS = 3
ASCENT = 0.7  # length of an ascent step, in radii
CLEAN_UNTIL, FULL_RADIUS_AT = 0.04, 0.3  # shares of the budget
FULL_RADIUS = 9.0  # photo and sketch of one portrait are 87 apart in the mean, photo and cartoon 47
TRUSTED_RADIUS = 1.5  # a smile is 8.7 away in the mean, so half of that can undo it; up to here attributes are asked for
MAX_SCALE = 20.0  # of the logits: a larger one would let attributes make do with tiny differences
LEAST_DIRECTION = 0.15  # between prompts: it says 0.26 and more where they differ to it, 0.10 and less where only unknown words do
OWN_FACTS = ("title", "purpose", "name", "templates", "least_direction", "measured")  # of the card, that `export` or `evaluate` writes


def radii(groups: int, progress: float) -> Tensor:
    """`(G,)`: zero at the start, growing; half of the groups stay small enough for the attributes, the others range to the full radius."""
    grown = min(1.0, max(0.0, (progress - CLEAN_UNTIL) / (FULL_RADIUS_AT - CLEAN_UNTIL))) * FULL_RADIUS
    small, any_size = torch.rand(groups) * min(grown, TRUSTED_RADIUS), torch.rand(groups) * grown
    return torch.where(torch.rand(groups) < 0.5, small, any_size)


def parameter_groups(model: nn.Module, decay: float = 0.05) -> list[dict[str, Any]]:
    """Weight decay on matrices and kernels only: not on norms, biases, embeddings and the scale."""
    decayed = [p for name, p in model.named_parameters() if p.ndim >= 2 and "embedding" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim < 2 or "embedding" in name]
    return [{"params": decayed, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


class ClipTraining:
    """One model, its averaged copy, its optimizer, and what one step does to them."""

    def __init__(self, pairs: PairedSet, groups: int, lr: float, device: torch.device, attempts: Attempts | None = None) -> None:
        self.pairs, self.groups, self.lr, self.device, self.attempts = pairs, groups, lr, device, attempts
        self.model = build_clip(MODEL).to(device, memory_format=torch.channels_last).train()
        self.ema = common.Ema(self.model, copy.deepcopy(self.model), decay=0.998)
        self.optimizer = torch.optim.AdamW(parameter_groups(self.model), lr=lr, betas=(0.9, 0.98), fused=True)
        self.reader = Reader(MODEL["text_cfg"]["context_length"])

    def step(self, step: int, progress: float) -> Mapping[str, float | Tensor]:
        """One batch, replayed against a growing perturbation; the numbers are the last, most perturbed replay's."""
        common.set_learning_rate(self.optimizer, common.learning_rate(progress, step, self.lr))
        batch, radius = draw_batch(self.pairs, self.groups, self.reader, self.attempts), radii(self.groups, progress)
        each = radius.repeat(GROUP)
        delta, reference = random_start(batch.images, each), None
        for _ in range(REPLAYS if progress > CLEAN_UNTIL else 1):
            delta.requires_grad_(True)
            losses, e = self._update(batch, delta, (radius <= TRUSTED_RADIUS).float(), reference)
            reference = e[: self.groups] if reference is None else reference
            delta = ascend(delta.detach(), delta.grad, each, ASCENT)
        self.ema.update(step)
        return {name: value.detach() for name, value in losses.items()}

    def _update(self, batch: Batch, delta: Tensor, trusted: Tensor, reference: Tensor | None) -> tuple[dict[str, Tensor], Tensor]:
        """One optimizer step on images + delta; leaves the loss's gradient in delta.grad. Returns the terms and the image features."""
        with common.autocast(self.device):
            e = self.model.encode_image(batch.images + delta)
        e = F.normalize(e.float(), dim=-1)
        t = self.model.encode_text(torch.cat([batch.captions, batch.prompts]))
        scale = self.model.logit_scale.exp().clamp_max(MAX_SCALE)
        losses = clip_losses(e, F.normalize(t, dim=-1), batch, trusted, scale, reference)
        self.optimizer.zero_grad(set_to_none=True)
        weighted_sum(losses).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return losses, e.detach()


def export(model: nn.Module, folder: Path, facts: Mapping[str, Any]) -> None:
    """Half-precision weights, config, card and README: what `load_clip` reads."""
    save_clip(folder, copy.deepcopy(model).half(), CONFIG, {}, taught_tokens())
    said = {"templates": list(TEMPLATES), "least_direction": LEAST_DIRECTION}
    common.write_card(folder, TITLE, PURPOSE, {"name": TITLE, **facts, **said})


def evaluate(folder: Path, sheets: Path) -> None:
    """Measure the model in a folder on unseen portraits; put the figures into its card, and the sheets of pixel ascents beside the log."""
    clip, card = load_clip(folder), common.read_card(folder)
    facts = {name: value for name, value in card.items() if name not in OWN_FACTS}
    export(clip.model, folder, {**facts, "measured": measure(clip)})
    write_sheets(clip, sheets)


def train(options: argparse.Namespace) -> None:
    device = common.prepare(options)
    pairs, attempts = paired_set(PORTRAITS, PORTRAITS_SEED, options.cache), Attempts.read(options.cache / "attempts")
    training = ClipTraining(pairs, options.batch // GROUP, options.lr, device, attempts)
    modules = {"live": training.model, "averaged": training.ema.module}
    state = common.StateFolder(options.work / "state", modules, {"optimizer": training.optimizer})
    log = common.Log(options.work / "log.jsonl", every=50)

    def on_save(step: int) -> None:
        export(training.ema.module, options.work / "unfinished", {"steps": step})

    steps, seconds = common.run(
        training.step, state, common.Budget(options.minutes, options.steps), log, options.seed, save_minutes=5, on_save=on_save
    )
    data = f"{PORTRAITS} drawn portraits in 5 domains, each with one attribute flipped, and the world's captions"
    if attempts is not None:
        data += f"; {len(attempts)} pictures that edits had made of them, graded by their distance to the true ones"
    count = f"{steps} batches of {options.batch}, each replayed {REPLAYS} times"
    facts = common.run_facts("core.pretrain.clip", data, count, device, seconds)
    export(training.ema.module, options.out, facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=PURPOSE)
    common.add_options(parser, out="checkpoints/clip", minutes=120, batch=96, lr=1e-3)
    parser.add_argument("--evaluate", action="store_true", help="measure the model in --out instead of training one")
    options = parser.parse_args()
    if not options.evaluate:
        train(options)
    common.prepare(options)
    evaluate(options.out, options.work / "sheets")


if __name__ == "__main__":
    common.run_command(main)

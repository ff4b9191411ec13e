"""Recipe that gives the embedded CLIP an axis for an attribute it has none for, and teaches it so that its gradients can be followed.

    python -m core.pretrain.clip_axis beard        # of the CLIP in cache/clip_without_axis, makes the shipped one
    python -m core.pretrain.edits beard --out cache/axis
    python -m core.pretrain.attempts --attribute beard --edits cache/axis
    python -m core.pretrain.clip_axis beard --initial checkpoints/clip      # goes on, with what that edit made

`axis_fit` puts the axis there. Then the image tower learns against perturbations, by the free method as in `clip`: of every picture,
perturbed as it is, it is to say what the teacher says of that very picture, plus the attribute's true part of the axis. So nothing else
is forgotten, and no noise that the tower could be fooled by counts as the attribute. Pictures come in pairs of one portrait without and
with the attribute, and parts of the way between; attempts of edits (`attempts --attribute`) join them with their true grade.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.clip import load_clip
from core.pretrain import clip as recipe
from core.pretrain import common
from core.pretrain.adversary import ascend, random_start
from core.pretrain.attempts import Attempts, attempts_folder, without_and_with
from core.pretrain.augment import blend, colour_field, degrade, move, per_item
from core.pretrain.axis_fit import Axis, axis_of, give_axis, open_ended, pictures_read, texts_read
from core.pretrain.dataset import batch_of
from core.pretrain.pairs import PORTRAITS
from core.worlds import portraits as world

GROUPS = {"photo": 12, "sketch": 2, "painting": 2, "night": 2, "cartoon": 2}  # of a batch: without, with, and between, of one portrait each
DRAWN = {"photo": PORTRAITS, "sketch": 500, "painting": 500, "night": 500, "cartoon": 500}  # portraits to learn from, in pairs
ATTEMPTS = 16  # of a batch
REPLAYS = 3
FULL_RADIUS, FULL_RADIUS_AT = 4.0, 0.2  # a beard is 11 away in the median, 6 in the lowest tenth; a share of the budget
ALONG_WEIGHT, REST_WEIGHT = 100.0, 40.0  # of the squared errors along the axis and across it
EVEN_SHARE, CLEAN_SHARE, TINTED_SHARE = 0.4, 0.3, 0.5
MOST_TINT = 0.3  # of a picture's colours: without it, an edit dyed the face


class AxisTraining:
    """A CLIP, its teacher, and what one step does. pictures: by domain, uint8 `(n, 3, 64, 64)` without and with the attribute."""

    def __init__(
        self,
        model: nn.Module,
        teacher: nn.Module,
        axis: Axis,
        pictures: Mapping[str, tuple[np.ndarray, np.ndarray]],
        attempts: Attempts | None,
        lr: float,
        device: torch.device,
    ) -> None:
        self.axis, self.pictures, self.attempts, self.lr, self.device = axis, pictures, attempts, lr, device
        self.model = model.to(device, memory_format=torch.channels_last).eval()  # batch statistics stay those of the teacher
        self.teacher = teacher.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
        self.model.requires_grad_(False).visual.requires_grad_(True)
        self.ema = common.Ema(self.model, copy.deepcopy(self.model), decay=0.99)
        self.optimizer = torch.optim.AdamW(self.model.visual.parameters(), lr=lr, weight_decay=0.01, betas=(0.9, 0.98))

    def step(self, step: int, progress: float) -> Mapping[str, float | Tensor]:
        """One batch, replayed against a growing perturbation; the numbers are the last, most perturbed replay's."""
        common.set_learning_rate(self.optimizer, common.learning_rate(progress, step, self.lr, warmup=20))
        images, signs = (part.to(self.device) for part in self.batch())
        radius = torch.rand(len(images), device=self.device) * FULL_RADIUS * min(1.0, progress / FULL_RADIUS_AT)
        delta = random_start(images, radius)
        for _ in range(REPLAYS):
            delta.requires_grad_(True)
            losses = self._update(images + delta, signs)
            delta = ascend(delta.detach(), delta.grad, radius, recipe.ASCENT)
        self.ema.update(step)
        return {name: value.detach() for name, value in losses.items()}

    def batch(self) -> tuple[Tensor, Tensor]:
        """Images `(B, 3, 64, 64)` and what each is to say of the attribute, `(B,)` in [−1, 1]. Depends on the global generator alone."""
        chosen = {domain: torch.randint(len(self.pictures[domain][0]), (count,)) for domain, count in GROUPS.items()}
        without, having = (torch.cat([batch_of(self.pictures[d][k], index) for d, index in chosen.items()]) for k in (0, 1))
        groups = len(without)
        between, share = part_way(without, having)
        signs = torch.cat([-torch.ones(groups), torch.ones(groups), 2 * share - 1])
        images = suffered(tinted(torch.cat([without, having, between]), groups), groups)
        if self.attempts is not None:
            index = torch.randint(len(self.attempts), (ATTEMPTS,))
            images = torch.cat([images, move(batch_of(self.attempts.images, index), ATTEMPTS)])
            signs = torch.cat([signs, 2 * self.attempts.grades[index] - 1])
        return images.contiguous(memory_format=torch.channels_last), signs

    def _update(self, images: Tensor, signs: Tensor) -> dict[str, Tensor]:
        """One optimizer step; leaves the loss's gradient in the perturbation's. Returns the squared errors along the axis and across it."""
        with torch.no_grad():
            wanted = F.normalize(self._embedded(self.teacher, images) + signs[:, None] * self.axis.step.to(images), dim=-1)
        unit = self.axis.unit.to(images)
        error = self._embedded(self.model, images) - wanted
        along = error @ unit
        losses = {"along": along.square().mean(), "across": (error - along[:, None] * unit).square().sum(dim=1).mean()}
        self.optimizer.zero_grad(set_to_none=True)
        (ALONG_WEIGHT * losses["along"] + REST_WEIGHT * losses["across"]).backward()
        nn.utils.clip_grad_norm_(self.model.visual.parameters(), 1.0)
        self.optimizer.step()
        return losses

    def _embedded(self, model: nn.Module, images: Tensor) -> Tensor:
        with common.autocast(self.device):
            e = model.encode_image(images)
        return F.normalize(e.float(), dim=-1)


def part_way(without: Tensor, having: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures between two `(G, 3, H, W)`, by one share everywhere or in soft blobs, and how much of their difference each has, `(G,)`."""
    difference = having - without
    mixed, _ = blend(without, having, torch.rand(len(without), 1, 1, 1) < EVEN_SHARE)
    length = difference.square().flatten(1).sum(dim=1).clamp_min(1e-6)
    return mixed, (((mixed - without) * difference).flatten(1).sum(dim=1) / length).clamp(0, 1)


def tinted(x: Tensor, groups: int) -> Tensor:
    """Groups dyed, evenly or in places, all their pictures alike: no colour is an attribute."""
    places = per_item(groups, 0.0, MOST_TINT, TINTED_SHARE) * colour_field(groups, x.shape[-2:])
    everywhere = per_item(groups, 0.0, MOST_TINT, TINTED_SHARE) * torch.randn(groups, 3, 1, 1)
    return (x + (places + everywhere).repeat(len(x) // groups, 1, 1, 1)).clamp(-1, 1)


def suffered(x: Tensor, groups: int) -> Tensor:
    """Moved, then degraded, most of them; in half of the groups all pictures suffer exactly what the first one does."""
    copies = len(x) // groups
    moved = move(x, groups)
    degraded = degrade(moved)
    alike = (torch.rand(groups, 1, 1, 1) < 0.5).float().repeat(copies, 1, 1, 1)
    same = moved + (degraded - moved)[:groups].repeat(copies, 1, 1, 1)
    clean = (torch.rand(groups, 1, 1, 1) < CLEAN_SHARE).float().repeat(copies, 1, 1, 1)
    return clean * moved + (1 - clean) * (alike * same + (1 - alike) * degraded)


def train(options: argparse.Namespace) -> None:
    """Puts the axis into the teacher's copy, or takes up a model that has it, and teaches it."""
    device = common.prepare(options)
    clip = load_clip(options.teacher)
    teacher, opened = clip.model, open_ended(clip.model)
    pictures = pictures_read(clip, opened, options.attribute, options.cache)
    told = clip.encode_text([*world.DOMAIN_PROMPTS.values(), *(prompt for pair in world.ATTRIBUTE_PROMPTS.values() for prompt in pair)])
    axis = axis_of(teacher, pictures, told)
    model = copy.deepcopy(teacher) if options.initial is None else load_clip(options.initial).model
    if options.initial is None:
        give_axis(model, axis, pictures, texts_read(clip, opened, options.attribute))
    attempts = Attempts.read(attempts_folder(options.cache, options.attribute))
    pairs = {domain: without_and_with(options.attribute, domain, count, options.cache) for domain, count in DRAWN.items()}
    training = AxisTraining(model, teacher, axis, pairs, attempts, options.lr, device)
    modules = {"live": training.model, "averaged": training.ema.module}
    state = common.StateFolder(options.work / "state", modules, {"optimizer": training.optimizer})
    budget, log = common.Budget(options.minutes, options.steps), common.Log(options.work / "log.jsonl", every=25)
    steps, seconds = common.run(training.step, state, budget, log, options.seed)

    before = common.read_card(options.initial or options.teacher)
    facts = {name: value for name, value in before.items() if name not in recipe.OWN_FACTS}
    grown = f"{steps} batches, each replayed {REPLAYS} times, {seconds / 60:.1f} minutes on {common.device_name(device)}"
    grown += f"; teacher {clip.fingerprint}"
    grown += f"; {len(attempts)} pictures that edits had made" if attempts is not None else ""
    key = f"an axis for {options.attribute}" + (", taught further" if options.initial else "")
    recipe.export(training.ema.module, options.out, {**facts, key: f"{common.command_line('core.pretrain.clip_axis')}: {grown}"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attribute", choices=world.ATTRIBUTES, help="which attribute")
    parser.add_argument("--teacher", type=Path, default=Path("cache/clip_without_axis"), help="folder of the CLIP that has no such axis")
    parser.add_argument("--initial", type=Path, help="folder of a CLIP that has the axis already, to teach it further")
    parser.add_argument("--out", type=Path, default=Path("checkpoints/clip"), help="folder of the finished model and its card")
    parser.add_argument("--work", type=Path, help="folder of state, log and sheets; default: in the cache")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder of rendered portraits")
    parser.add_argument("--minutes", type=float, default=60, help="stop, annealed, after so much training time")
    parser.add_argument("--steps", type=int, help="stop, annealed, after so many steps (in place of --minutes)")
    parser.add_argument("--lr", type=float, default=3e-4, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0, help="seed of every step")
    parser.add_argument("--threads", type=int, help="CPU threads; default: all")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    if options.work is None:
        options.work = options.cache / "pretrain" / f"axis_{options.attribute}{'_further' if options.initial else ''}"
    train(options)
    recipe.evaluate(options.out, options.work / "sheets")


if __name__ == "__main__":
    common.run_command(main)

"""The judge of edits: a small network that names the domain of a portrait, or none, and reads its attributes in every domain.

    python -m core.pretrain.judge --threads 1 --minutes 6      # about 0.4 M parameters, under 1 MB
    python -m core.pretrain.judge --evaluate                   # measures checkpoints/judge again and renews its card

It is trained on rendered portraits alone and is used in no other training. Run it again to resume.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.models.judge import Judge, JudgeNetwork, load_judge, save_judge
from core.pretrain import common
from core.pretrain.judge_data import judge_batch, spoiled
from core.pretrain.pairs import PORTRAITS, PORTRAITS_SEED, paired_set, toggled
from core.worlds import portraits as world

TITLE = "Portraits judge"
PURPOSE = "Names the domain of a portrait, or none of them, and reads six attributes: an independent judge of edits, never trained against."
UNSEEN_SEED = 900_007
WIDTH = 24


class JudgeTraining:
    """Network, average and optimizer, and one step of them. images: by domain, uint8 `(n, 3, 64, 64)`; attributes `(n, A)` bool."""

    def __init__(self, network: JudgeNetwork, images: Mapping[str, np.ndarray], attributes: Tensor, batch: int, lr: float) -> None:
        self.network, self.images, self.attributes, self.batch, self.lr = network, images, attributes, batch, lr
        averaged = JudgeNetwork(len(images), attributes.shape[1], network.domain.in_features // 5)
        self.ema = common.Ema(network, averaged, decay=0.99)
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=0.02)

    def step(self, step: int, progress: float) -> Mapping[str, float | Tensor]:
        """Cross-entropy of the domain over all pictures, and of the attributes over those that are not spoiled."""
        common.set_learning_rate(self.optimizer, common.learning_rate(progress, step, self.lr, warmup=50))
        x, domain, attributes = judge_batch(self.images, self.attributes, self.batch)
        device = next(self.network.parameters()).device
        x, domain, attributes = x.to(device), domain.to(device), attributes.to(device)
        with common.autocast(device):
            domain_logits, attribute_logits = self.network.train()(x)
        whole = domain < len(self.images)
        of_domain = F.cross_entropy(domain_logits.float(), domain)
        of_attributes = F.binary_cross_entropy_with_logits(attribute_logits.float()[whole], attributes[whole])
        self.optimizer.zero_grad(set_to_none=True)
        (of_domain + 3 * of_attributes).backward()
        self.optimizer.step()
        self.ema.update(step)
        return {"domain": of_domain.detach(), "attributes": of_attributes.detach()}


@torch.no_grad()
def measure(judge: Judge, count: int = 256) -> dict[str, float]:
    """Accuracy on unseen portraits: of the domain, of refusing spoiled pictures, and of each attribute in each domain."""
    people = world.sample(count, UNSEEN_SEED)
    pictures = [world.render(people, domain) for domain in world.DOMAINS]
    figures: dict[str, float] = {}
    for place, (domain, x) in enumerate(zip(world.DOMAINS, pictures, strict=True)):
        torch.manual_seed(UNSEEN_SEED)
        figures[f"{domain}: domain"] = (judge.domains(x).argmax(dim=1) == place).float().mean().item()
        refused = judge.domains(spoiled(x, pictures[place - 1])).argmax(dim=1) == len(world.DOMAINS)
        figures[f"{domain}: spoiled pictures refused"] = refused.float().mean().item()
        right = (judge.attributes(x) > 0.5) == people.attributes
        for name, accuracy in zip(world.ATTRIBUTES, right.float().mean(dim=0).tolist(), strict=True):
            figures[f"{domain}: {name}"] = accuracy
    return {name: round(value, 4) for name, value in figures.items()} | {"portraits": count}


def export(network: JudgeNetwork, folder: Path, facts: Mapping[str, Any]) -> None:
    """The network, its card with what it measures on unseen portraits, and a README."""
    save_judge(folder, network, world.DOMAINS, world.ATTRIBUTES, WIDTH)
    common.write_card(folder, TITLE, PURPOSE, {"name": TITLE, **facts, "measured": measure(load_judge(folder))})


def train(options: argparse.Namespace) -> None:
    device = common.prepare(options)
    pairs = paired_set(PORTRAITS, PORTRAITS_SEED, options.cache)
    images = {domain: np.concatenate([pairs.plain[domain], pairs.flipped[domain]]) for domain in world.DOMAINS}
    attributes = torch.cat([pairs.portraits.attributes, toggled(pairs.portraits, PORTRAITS_SEED)[0].attributes])
    network = JudgeNetwork(len(images), len(world.ATTRIBUTES), WIDTH).to(device, memory_format=torch.channels_last)
    training = JudgeTraining(network, images, attributes, options.batch, options.lr)
    training.ema.module.to(device)
    modules = {"live": network, "averaged": training.ema.module}
    state = common.StateFolder(options.work / "state", modules, {"optimizer": training.optimizer})
    log = common.Log(options.work / "log.jsonl", every=50)
    steps, seconds = common.run(training.step, state, common.Budget(options.minutes, options.steps), log, options.seed, save_minutes=1)
    data = (
        f"{PORTRAITS} drawn portraits (seed {PORTRAITS_SEED}), plain and with one attribute flipped, in {len(images)} domains; "
        "a third of each batch spoiled"
    )
    facts = common.run_facts("core.pretrain.judge", data, f"{steps} batches of {options.batch}", device, seconds)
    export(training.ema.module, options.out, facts)


def evaluate(folder: Path) -> None:
    """Measure the judge in a folder again and renew the figures of its card."""
    facts = {name: value for name, value in common.read_card(folder).items() if name not in ("title", "purpose", "measured")}
    common.write_card(folder, TITLE, PURPOSE, {**facts, "measured": measure(load_judge(folder))})


def main() -> None:
    parser = argparse.ArgumentParser(description=PURPOSE)
    common.add_options(parser, out="checkpoints/judge", minutes=6, batch=60, lr=3e-3)
    parser.add_argument("--evaluate", action="store_true", help="measure the model in --out instead of training one")
    options = parser.parse_args()
    if options.evaluate:
        common.prepare(options)
        evaluate(options.out)
    else:
        train(options)


if __name__ == "__main__":
    common.run_command(main)

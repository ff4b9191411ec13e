"""Recipe of the embedded identity encoder: a small timm network that knows a person again across attributes, circumstances and domains.

    python -m core.pretrain.identity --out checkpoints/identity                 # goes on where it was stopped
    python -m core.pretrain.identity --initial checkpoints/identity             # begins with the weights of an encoder that is there
    python -m core.pretrain.identity --out checkpoints/identity --evaluate      # measures, writes the card again

Margin softmax over the training people (Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition", CVPR 2018, eq. 4);
its head is dropped after training. Three things were needed for an untrained network to learn within minutes: whitened embeddings (without
batch normalisation all of them fell together), a curriculum (photos alone first, then the other domains, then the margin), and beside the
softmax a linear reading of the 26 numbers that make a person: in this world they are known, and say more than a name among thousands.
What the last run reached stands in checkpoints/identity/README.md.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.functional.classification import binary_auroc

from core.models.identity import Identity, load_identity, save_identity
from core.pretrain import common
from core.pretrain.augment import move, soften
from core.pretrain.dataset import batch_of, rendered
from core.worlds import portraits as world
from core.worlds.people import IDENTITY

TITLE = "Shiftlab portraits identity"
PURPOSE = "A timm network that embeds drawn portraits: the cosine of two embeddings says whether they show the same person."
DIMENSIONS = 128
CONFIG = {
    "architecture": "resnet10t",
    "num_classes": DIMENSIONS,
    "model_args": {"channels": [32, 64, 128, 256]},
    "pretrained_cfg": {"input_size": [3, 64, 64], "mean": [0.5] * 3, "std": [0.5] * 3},
}
PEOPLE, PEOPLE_SEED = 7200, 101  # with a third of them it learns the pictures by heart: AUC 0.999 on those, 0.927 on other people
# The days on which everybody is drawn in a domain, each day with its own attributes and circumstances; and how often a domain is seen.
DAYS = {"photo": (0, 1, 2), "sketch": (0, 1), "painting": (0,), "night": (0,), "cartoon": (0,)}
DOMAIN_SHARES = {"photo": 0.4, "sketch": 0.24, "painting": 0.12, "night": 0.12, "cartoon": 0.12}
SCALE, MARGIN = 24.0, 0.25  # of CosFace
ALL_DOMAINS_AT, MARGIN_FROM, MARGIN_AT = 0.3, 0.25, 0.6  # shares of the budget
NUMBERS_WEIGHT = 10.0  # of the squared error beside the softmax
HEAD_LR = 10.0  # learning rate of the head, in those of the network: each of its vectors is seen once in 25 steps
UNSEEN_PEOPLE, UNSEEN_SEED = 256, 9002


class MarginSoftmax(nn.Module):
    """CosFace: cross-entropy of SCALE·(cos θ − MARGIN for the true person), one unit vector a person."""

    def __init__(self, people: int) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(people, DIMENSIONS))

    def forward(self, embedding: Tensor, person: Tensor, margin: float = MARGIN) -> Tensor:
        """embedding `(B, D)` of any length, person `(B,)` → scalar loss."""
        cosine = F.normalize(embedding, dim=-1) @ F.normalize(self.centres, dim=-1).T
        own = F.one_hot(person, len(self.centres)).to(cosine.dtype)
        return F.cross_entropy(SCALE * (cosine - margin * own), person)


class NumbersOfAPerson(nn.Module):
    """Reads the identity's numbers off the embedding, linearly; the loss is their mean squared error in units of their variance 1/12."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Linear(DIMENSIONS, len(IDENTITY))

    def forward(self, embedding: Tensor, identity: Tensor) -> Tensor:
        """embedding `(B, D)` of any length, identity `(B, 26)` in [0, 1] → scalar loss, 1 for knowing nothing."""
        return 12 * F.mse_loss(self.read(F.normalize(embedding, dim=-1) * DIMENSIONS**0.5), identity)


class Embedder(nn.Module):
    """The network and, while it trains, a batch normalisation of what it says: no mean, unit variance in every dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.network = timm.create_model(CONFIG["architecture"], pretrained=False, num_classes=DIMENSIONS, **CONFIG["model_args"])
        self.norm = nn.BatchNorm1d(DIMENSIONS, affine=False)

    def forward(self, images: Tensor) -> Tensor:
        """`(B, 3, 64, 64)` → `(B, D)` float32, of any length."""
        return self.norm(self.network(images).float())

    @torch.no_grad()
    def folded(self) -> nn.Module:
        """A copy of the network whose last layer does what the normalisation did."""
        network = copy.deepcopy(self.network)
        deviation = (self.norm.running_var + self.norm.eps).sqrt()
        network.fc.weight.div_(deviation[:, None])
        network.fc.bias.sub_(self.norm.running_mean).div_(deviation)
        return network


class People:
    """The training pictures: everybody on the days of DAYS, eight pictures a person, drawn on first use (25 to 45 a second on one core)."""

    def __init__(self, cache: Path, count: int) -> None:
        first = world.sample(count, PEOPLE_SEED)
        self.count, self.identity = count, first.identity
        self.images = {
            domain: [rendered(world.same_people(first, day) if day else first, domain, cache) for day in days]
            for domain, days in DAYS.items()
        }

    def draw(self, batch: int, other_domains: float = 1.0) -> tuple[Tensor, Tensor]:
        """Augmented images `(B, 3, 64, 64)` and person numbers `(B,)`, from the global generator.

        other_domains: share of the pictures that may come from any domain; the rest are photos.
        """
        person = torch.randint(self.count, (batch,))
        domain = torch.multinomial(torch.tensor(list(DOMAIN_SHARES.values())), batch, replacement=True)
        domain = domain * (torch.rand(batch) < other_domains)  # 0 is the photo
        images = torch.empty(batch, *self.images["photo"][0].shape[1:])
        for number, name in enumerate(DOMAIN_SHARES):
            day = torch.randint(len(self.images[name]), (batch,))
            for which, drawn in enumerate(self.images[name]):
                rows = (domain == number) & (day == which)
                images[rows] = batch_of(drawn, person[rows])
        images = soften(move(images, batch), probability=0.3)
        return images.contiguous(memory_format=torch.channels_last), person


class IdentityTraining:
    """Network, margin softmax, averaged copy and optimizer, and one step of them."""

    def __init__(self, people: People, batch: int, lr: float, device: torch.device, initial: Path | None = None) -> None:
        self.people, self.batch, self.lr, self.device = people, batch, lr, device
        self.model = Embedder()
        if initial is not None:
            self.model.network.load_state_dict(load_identity(initial).model.state_dict())
        self.model.to(device, memory_format=torch.channels_last).train()
        self.head, self.numbers = MarginSoftmax(people.count).to(device), NumbersOfAPerson().to(device)
        self.ema = common.Ema(self.model, copy.deepcopy(self.model), decay=0.998)
        self.optimizers = [
            torch.optim.AdamW([*self.model.parameters(), *self.numbers.parameters()], lr=lr, weight_decay=0.02, fused=True),
            torch.optim.AdamW(self.head.parameters(), lr=lr * HEAD_LR, weight_decay=0.02, fused=True),
        ]

    def step(self, step: int, progress: float) -> Mapping[str, float | Tensor]:
        """One batch of the curriculum."""
        for optimizer, factor in zip(self.optimizers, (1.0, HEAD_LR), strict=True):
            common.set_learning_rate(optimizer, factor * common.learning_rate(progress, step, self.lr))
            optimizer.zero_grad(set_to_none=True)
        images, person = self.people.draw(self.batch, min(1.0, progress / ALL_DOMAINS_AT))
        with common.autocast(self.device):
            embedding = self.model(images.to(self.device))
        margin = MARGIN * min(1.0, max(0.0, (progress - MARGIN_FROM) / (MARGIN_AT - MARGIN_FROM)))
        softmax = self.head(embedding, person.to(self.device), margin)
        numbers = self.numbers(embedding, self.people.identity[person].to(self.device))
        (softmax + NUMBERS_WEIGHT * numbers).backward()
        for optimizer in self.optimizers:
            optimizer.step()
        self.ema.update(step)
        return {"softmax": softmax.detach(), "numbers": numbers.detach(), "margin": margin}


@torch.no_grad()
def embed(identity: Identity, portraits: world.Portraits, domain: str) -> Tensor:
    return torch.cat([identity.embed(part) for part in world.render(portraits, domain).split(64)])


def verification(a: Tensor, b: Tensor) -> dict[str, float]:
    """AUC, mean same-person and mean other-person cosine of embeddings `(N, D)` of the same N people."""
    cosine = a @ b.T
    same = torch.eye(len(a), dtype=torch.long)
    return {
        "AUC": binary_auroc(cosine.flatten(), same.flatten(), thresholds=None).item(),
        "same": cosine.diagonal().mean().item(),
        "other": cosine[same == 0].mean().item(),
    }


def measure(identity: Identity, people: int = UNSEEN_PEOPLE) -> dict[str, Any]:
    """On unseen people: {"ceiling", "floor", "measured": {…}}. A photo of one day is compared with each domain on another day."""
    today = world.sample(people, UNSEEN_SEED)
    tomorrow = world.same_people(today, UNSEEN_SEED)
    photo = embed(identity, today, "photo")
    figures: dict[str, float] = {}
    same, other = [], []
    for domain in world.DOMAINS:
        numbers = verification(photo, embed(identity, tomorrow, domain))
        figures[f"AUC photo ↔ {domain}, other day"] = numbers["AUC"]
        figures[f"cosine of the same person, photo ↔ {domain}, other day"] = numbers["same"]
        same.append(numbers["same"])
        other.append(numbers["other"])
        if domain != "photo":
            figures[f"cosine of the same picture, photo ↔ {domain}"] = (photo * embed(identity, today, domain)).sum(dim=1).mean().item()
    for attribute in world.ATTRIBUTES:
        pair = [embed(identity, world.with_attributes(today, **{attribute: value}), "photo") for value in (False, True)]
        figures[f"cosine of the same photo, {attribute} or not"] = (pair[0] * pair[1]).sum(dim=1).mean().item()
    rounded = {name: round(value, 4) for name, value in figures.items()}
    return {"ceiling": round(float(np.mean(same)), 4), "floor": round(float(np.mean(other)), 4), "measured": rounded}


def export(model: nn.Module, folder: Path, facts: Mapping[str, Any]) -> None:
    """Half-precision weights, timm's config, card and README: what `load_identity` reads."""
    save_identity(folder, copy.deepcopy(model).half(), CONFIG, {})
    common.write_card(folder, TITLE, PURPOSE, {"name": TITLE, "ceiling": 1.0, "floor": 0.0, **facts})


def evaluate(folder: Path) -> None:
    """Measure the encoder in a folder, and put ceiling, floor and figures into its card."""
    identity, card = load_identity(folder), common.read_card(folder)
    facts = {name: value for name, value in card.items() if name not in ("title", "purpose", "name")}
    export(identity.model, folder, {**facts, **measure(identity)})


def train(options: argparse.Namespace) -> None:
    device = common.prepare(options)
    training = IdentityTraining(People(options.cache, PEOPLE), options.batch, options.lr, device, options.initial)
    modules = {"live": training.model, "head": training.head, "numbers": training.numbers, "averaged": training.ema.module}
    state = common.StateFolder(options.work / "state", modules, {"network": training.optimizers[0], "margin": training.optimizers[1]})
    log = common.Log(options.work / "log.jsonl", every=50)
    steps, seconds = common.run(training.step, state, common.Budget(options.minutes, options.steps), log, options.seed)
    data = f"{PEOPLE} drawn people, {sum(map(len, DAYS.values()))} pictures each over {len(DAYS)} domains"
    facts = common.run_facts("core.pretrain.identity", data, f"{steps} of batch {options.batch}", device, seconds)
    export(training.ema.module.folded(), options.out, facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=PURPOSE)
    common.add_options(parser, out="checkpoints/identity", minutes=60, batch=96, lr=2e-3)
    parser.add_argument("--initial", type=Path, default=None, help="folder of an encoder to begin with; default: begin with nothing")
    parser.add_argument("--evaluate", action="store_true", help="measure the encoder in --out instead of training one")
    options = parser.parse_args()
    if not options.evaluate:
        train(options)
    evaluate(options.out)


if __name__ == "__main__":
    common.run_command(main)

"""Who looks at samples of streets: a small network that says of every pixel what it is, and a rule for the weather by colours.

Both learn in a minute or two from pictures that the text-to-image model's recipe also has, and are tried on unseen ones, so that a share
of samples can be read beside the share of true pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.pretrain import common
from core.pretrain.streets_data import HEIGHT, Pictures
from core.pretrain.streets_text import SEEN
from core.worlds.streets import CLASSES

WIDTH = 24
BANDS = 4  # horizontal bands whose colours tell the weather
RIDGE = 0.01


@dataclass(frozen=True)
class Crops:
    """True crops: images `(n, 3, 64, 64)` in [-1, 1], labels `(n, 64, 64)` long, weather `(n,)` long."""

    images: Tensor
    labels: Tensor
    weather: Tensor


def true_crops(sets: Sequence[Pictures], count: int, seed: int) -> Crops:
    """`count` random crops of each set; the weather is the set's place."""
    generator = torch.Generator().manual_seed(seed)
    images, labels, weather = [], [], []
    for place, pictures in enumerate(sets):
        for _ in range(count):
            item = int(torch.randint(len(pictures.images), (), generator=generator))
            left = int(torch.randint(pictures.images.shape[3] - HEIGHT + 1, (), generator=generator))
            images.append(torch.tensor(pictures.images[item, :, :, left : left + HEIGHT]))
            labels.append(torch.tensor(pictures.labels[item, :, left : left + HEIGHT]))
            weather.append(place)
    return Crops(torch.stack(images).float() / 127.5 - 1, torch.stack(labels).long(), torch.tensor(weather))


class PixelJudge(nn.Module):
    """Images `(B, 3, 64, 64)` → logits of the classes `(B, C, 64, 64)`: three levels down and up again, about 0.1 M parameters."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.enter = _block(3, width)
        self.halved, self.quartered = _block(width, 2 * width, 2), _block(2 * width, 2 * width, 2)
        self.from_quarter, self.from_half = _block(4 * width, width), _block(2 * width, width)
        self.out = nn.Conv2d(width, len(CLASSES), 1)

    def forward(self, x: Tensor) -> Tensor:
        full = self.enter(x)
        half = self.halved(full)
        quarter = F.interpolate(self.quartered(half), scale_factor=2.0)
        half = F.interpolate(self.from_quarter(torch.cat([quarter, half], 1)), scale_factor=2.0)
        return self.out(self.from_half(torch.cat([half, full], 1)))

    @torch.no_grad()
    def things(self, images: Tensor) -> Tensor:
        """Which of SEEN's things are there, bool `(B, len(SEEN))`: those with enough pixels."""
        found = torch.cat([self.eval()(part).argmax(dim=1) for part in images.split(64)])
        return enough(torch.tensor(list(CLASSES.values()))[found])


def enough(labels: Tensor) -> Tensor:
    """Of train ids `(n, H, W)`: whether each of SEEN's things has the pixels by which one would know it, bool `(n, len(SEEN))`."""
    return torch.stack([(labels == CLASSES[name]).flatten(1).sum(1) >= least for name, least in SEEN.items()], dim=1)


def train_pixel_judge(crops: Crops, steps: int, batch: int = 16, lr: float = 4e-3, seed: int = 0) -> PixelJudge:
    """Learns the labels of true crops, each class weighed by the root of its rarity."""
    torch.manual_seed(seed)
    judge = PixelJudge().train().to(memory_format=torch.channels_last)
    place = torch.zeros(256, dtype=torch.long)
    place[list(CLASSES.values())] = torch.arange(len(CLASSES))
    target = place[crops.labels]
    weight = torch.bincount(target.flatten(), minlength=len(CLASSES)).float().clamp(min=1).rsqrt()
    optimizer = torch.optim.AdamW(judge.parameters(), lr=lr, weight_decay=0.01)
    for step in range(steps):
        common.set_learning_rate(optimizer, common.learning_rate(step / steps, step, lr, warmup=20))
        items = torch.randint(len(crops.images), (batch,))
        logits = judge(crops.images[items].contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, target[items], weight / weight.mean())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return judge.eval()


class WeatherRule:
    """A linear rule from the mean and spread of the colours in BANDS bands, and of their edges, fitted by least squares."""

    def __init__(self, crops: Crops) -> None:
        features = _statistics(crops.images)
        self.mean, self.std = features.mean(0), features.std(0) + 1e-6
        x = self._ready(features)
        wanted = F.one_hot(crops.weather).float()
        self.weights = torch.linalg.solve(x.T @ x / len(x) + RIDGE * torch.eye(x.shape[1]), x.T @ wanted / len(x))

    def __call__(self, images: Tensor) -> Tensor:
        """The weather's number, long `(n,)`."""
        return (self._ready(_statistics(images)) @ self.weights).argmax(dim=1)

    def _ready(self, features: Tensor) -> Tensor:
        return F.pad((features - self.mean) / self.std, (0, 1), value=1.0)


def _statistics(images: Tensor) -> Tensor:
    bands = torch.stack(images.chunk(BANDS, dim=2), dim=1).flatten(3)  # (n, BANDS, 3, pixels)
    edges = torch.stack(images.diff(dim=3).abs().mean(dim=1).chunk(BANDS, dim=1), dim=1).flatten(2).mean(dim=2)
    return torch.cat([bands.mean(3).flatten(1), bands.std(3).flatten(1), edges], dim=1)


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    first = [nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*first, nn.Conv2d(outputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs), nn.ReLU())

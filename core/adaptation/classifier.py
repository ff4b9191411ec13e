"""The classifiers whose accuracy says what an adaptation is worth, and what is saved of them.

*cnn* is the one of the experiment that started this project: three times [3×3 convolution, ReLU, 2×2 maximum] with 32, 64
and 128 filters, a layer of 512, and the reader, sized to the picture: 4.3 M parameters at 64 px. The others are timm's, untrained.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import timm
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.methods.fields import setting
from core.types import Settings, ShiftlabError

SMALLEST = 8  # pixels: three halvings leave one
CHUNK = 256  # pictures read at once


class ClassifierSettings(Settings):
    """How a classifier is trained; the defaults are the original experiment's, shuffled."""

    method: ClassVar[str] = "classifier"

    model: Literal["cnn", "resnet10t", "mobilenetv3_small_050"] = setting(
        "cnn", "Network", "cnn: three convolutions, sized to the picture. The others are small networks of timm, untrained."
    )
    epochs: int = setting(10, "Epochs", "Passes over the training pictures.", ge=1, le=500, step=1)
    seeds: int = setting(
        3, "Seeds", "Classifiers of each kind, which differ in first weights and order; the band is over them.", ge=1, le=50, step=1
    )
    learning_rate: float = setting(1e-3, "Learning rate", "Of Adam.", gt=0, le=1)
    batch_size: int = setting(32, "Batch size", "Pictures an update.", ge=1, le=4096, step=1, more=True)
    loss: Literal["bce", "cross_entropy"] = setting(
        "bce", "Loss", "bce: one output, for two classes. cross_entropy: one a class; more than two classes always take it.", more=True
    )
    class_weights: bool = setting(False, "Class weights", "Every class counts alike, however rare it is.", more=True)
    patience: int = setting(
        0,
        "Early stop",
        "Epochs without a better validation loss before it ends with its best epoch; 0: never.",
        ge=0,
        le=100,
        step=1,
        more=True,
    )
    seed: int = setting(0, "First seed", "The others count on.", ge=0, step=1, more=True)


class SeedCNN(nn.Module):
    """The experiment's network for pictures of `size` pixels. Raises ShiftlabError for pictures too small for it."""

    def __init__(self, size: int, outputs: int) -> None:
        super().__init__()
        if size < SMALLEST:
            raise ShiftlabError(f"Pictures of {size} pixels are too small for the classifier. Use at least {SMALLEST}.")
        layers: list[nn.Module] = []
        for filters_in, filters in ((3, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(filters_in, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(128 * (size // 8) ** 2, 512), nn.ReLU(), nn.Linear(512, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """x `(B, 3, size, size)` in [-1, 1] → logits `(B, outputs)`."""
        return self.head(self.features(x))


class Classifier:
    """A network with the classes that it tells apart. One output stands for the last of two classes (BCE), else there is one a class."""

    def __init__(self, model: str, size: int, classes: Sequence[str], loss: str, device: torch.device | str = "cpu") -> None:
        self.model, self.size, self.classes = model, size, tuple(classes)
        self.binary = loss == "bce" and len(self.classes) == 2
        outputs = 1 if self.binary else len(self.classes)
        network = SeedCNN(size, outputs) if model == "cnn" else timm.create_model(model, pretrained=False, num_classes=outputs)
        self.device = torch.device(device)
        self.network = network.to(self.device)

    def losses(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of each picture `(B,)`. x `(B, 3, size, size)` in [-1, 1], y `(B,)` places in `classes`."""
        logits = self.network(x)
        if self.binary:
            return F.binary_cross_entropy_with_logits(logits[:, 0], y.float(), reduction="none")
        return F.cross_entropy(logits, y, reduction="none")

    def probabilities(self, x: Tensor) -> Tensor:
        """`(B, classes)`, each row summing to 1, on the CPU, without gradient."""
        self.network.eval()
        rows = []
        with torch.no_grad():
            for part in x.split(CHUNK):
                logits = self.network(part.to(self.device))
                positive = logits.sigmoid()
                rows.append((torch.cat([1 - positive, positive], dim=1) if self.binary else logits.softmax(dim=1)).cpu())
        return torch.cat(rows)

    def save(self, path: Path, facts: dict[str, str | int]) -> None:
        """Weights as safetensors, with everything in the header that `load_classifier` needs, and `facts`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        header = {
            "model": self.model,
            "size": self.size,
            "classes": self.classes,
            "loss": "bce" if self.binary else "cross_entropy",
            **facts,
        }
        temporary = path.with_name(f".{path.name}")
        weights = {name: value.detach().cpu().contiguous() for name, value in self.network.state_dict().items()}
        save_file(weights, temporary, {"classifier": json.dumps(header)})
        temporary.replace(path)


def load_classifier(path: Path, device: torch.device | str = "cpu") -> Classifier:
    """A classifier as `save` wrote it. Raises ShiftlabError for any other file."""
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["classifier"])
        found = Classifier(header["model"], header["size"], header["classes"], header["loss"], device)
        found.network.load_state_dict(load_file(path))
    except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise ShiftlabError(f"{path} holds no classifier of this lab. Train one first.") from error
    return found

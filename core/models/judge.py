"""The judge: a small convolutional network that says of what domain a portrait is and which attributes it shows.

It is trained on rendered portraits alone and never takes part in the training of an edit. It knows "none of these" beside the
domains, so that a half-done or dissolved picture does not count as success. A folder holds `config.json` (domains, attributes,
width), `model.safetensors`, and the card.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.types import ShiftlabError

CONFIG, WEIGHTS = "config.json", "model.safetensors"
NONE_OF_THESE = "none of these"


def _block(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


class JudgeNetwork(nn.Module):
    """Seven 3×3 convolutions over a fourfold halved picture, the mean over places, and two linear readers; 0.4 M parameters at width 24."""

    def __init__(self, domains: int, attributes: int, width: int = 24) -> None:
        super().__init__()
        w = width
        plan = [(3, w, 1), (w, 2 * w, 2), (2 * w, 2 * w, 1), (2 * w, 4 * w, 2), (4 * w, 4 * w, 1), (4 * w, 5 * w, 2), (5 * w, 5 * w, 1)]
        self.features = nn.Sequential(*(_block(*layer) for layer in plan))
        self.domain = nn.Linear(5 * w, domains + 1)
        self.attribute = nn.Linear(5 * w, attributes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x `(B, 3, 64, 64)` in [-1, 1] → logits of domains `(B, D + 1)`, the last for "none of these", and of attributes `(B, A)`."""
        pooled = self.features(x).mean(dim=(2, 3))
        return self.domain(pooled), self.attribute(pooled)


class Judge:
    """Reads portraits `(B, 3, 64, 64)` in [-1, 1], float32, without gradient, in whatever batch.

    domain_names ends with NONE_OF_THESE; attribute_names is the order of `.attributes`.
    """

    def __init__(
        self, network: JudgeNetwork, domains: Sequence[str], attributes: Sequence[str], device: torch.device | str = "cpu"
    ) -> None:
        self.network = network.to(device).eval().requires_grad_(False)
        self.domain_names, self.attribute_names = (*domains, NONE_OF_THESE), tuple(attributes)
        self.device = torch.device(device)

    def domains(self, x: Tensor) -> Tensor:
        """Probabilities `(B, D + 1)` over the domains and "none of these"; each row sums to 1."""
        return self._read(x, 0).softmax(dim=1)

    def attributes(self, x: Tensor) -> Tensor:
        """Probability `(B, A)` of each attribute being there."""
        return self._read(x, 1).sigmoid()

    @torch.no_grad()
    def _read(self, x: Tensor, head: int) -> Tensor:
        return torch.cat([self.network(part.to(self.device, torch.float32))[head] for part in x.split(64)])


def save_judge(folder: Path, network: JudgeNetwork, domains: Sequence[str], attributes: Sequence[str], width: int) -> None:
    """Configuration and half-precision weights, as `load_judge` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps({"domains": list(domains), "attributes": list(attributes), "width": width}, indent=2) + "\n")
    weights = {name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()}
    save_file(weights, folder / WEIGHTS)


def load_judge(folder: Path | str, device: torch.device | str = "cpu") -> Judge:
    """The judge in a folder. Raises ShiftlabError for a missing or unreadable file, or weights that do not fit the configuration."""
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ShiftlabError(f"There is no judge in {folder}: {name} is missing. Train one with python -m core.pretrain.judge.")
    try:
        config = json.loads((folder / CONFIG).read_text())
        network = JudgeNetwork(len(config["domains"]), len(config["attributes"]), config["width"])
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ShiftlabError(f"The judge in {folder} cannot be read ({error}). Copy the folder anew or train it again.") from error
    return Judge(network, config["domains"], config["attributes"], device)

"""Perceptual distance: how far apart two pictures are in the features of a network.

The form is that of Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (CVPR 2018), eq. 1, without
its learned weights: channels of unit length at each place, squared difference, mean over places, then the mean over layers. Only
`load_lpips` is LPIPS itself; every other one says in `.name` whose features it reads, and its numbers compare to none but its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from core.models.identity import Identity
from core.types import ShiftlabError

Features = Callable[[Tensor], Sequence[Tensor]]  # images (B, 3, H, W) in [-1, 1] → feature maps (B, C, h, w)
CHANNEL_EPS = 1e-10
LPIPS_EPS = 1e-8  # torchmetrics' own
ALEXNET_FILE = "alexnet-owt-7be5be79.pth"  # torchvision's ImageNet weights, which LPIPS stands on


class Perceptual:
    """images, images → `(B,)` distances in [0, 4], 0 for equal images; differentiable. `name` names the extractor."""

    def __init__(self, features: Features, name: str) -> None:
        self.features = features
        self.name = name

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        pairs = zip(self.features(a), self.features(b), strict=True)
        return torch.stack([_layer_distance(at_a, at_b) for at_a, at_b in pairs]).mean(dim=0)

    def vectors(self, x: Tensor) -> Tensor:
        """`(B, D)`, of which the squared Euclidean distance is this distance: every pair of many pictures for one look at each."""
        layers = [_unit_channels(features.float()) for features in self.features(x)]
        return torch.cat([(layer / math.sqrt(layer[0, 0].numel() * len(layers))).flatten(1) for layer in layers], dim=1)


def _layer_distance(a: Tensor, b: Tensor) -> Tensor:
    """Squared distance of unit channel vectors, mean over places: feature maps `(B, C, h, w)` → `(B,)`."""
    return (_unit_channels(a.float()) - _unit_channels(b.float())).square().sum(dim=1).mean(dim=(1, 2))


def _unit_channels(features: Tensor) -> Tensor:
    """Each place's channels `(B, C, h, w)` at unit length."""
    return features / (features.norm(dim=1, keepdim=True) + CHANNEL_EPS)


def perceptual_of_identity(identity: Identity) -> Perceptual:
    """The distance in the feature maps of the embedded identity encoder, which must be a timm network."""

    def features(x: Tensor) -> Sequence[Tensor]:
        with torch.autocast(identity.device.type, identity.dtype, enabled=identity.dtype != torch.float32):
            return identity.model.forward_intermediates(identity.preprocess(x), intermediates_only=True)

    return Perceptual(features, f"perceptual distance ({identity.name})")


class Lpips:
    """LPIPS with AlexNet and the learned weights of its paper, one number an image."""

    name = "LPIPS (AlexNet)"

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.network = LearnedPerceptualImagePatchSimilarity(net_type="alex").net.to(device).eval().requires_grad_(False)

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        return self.network(a, b).flatten()

    def vectors(self, x: Tensor) -> Tensor:
        """As `Perceptual.vectors`: LPIPS is a squared distance as well, its learned weights being none below 0."""
        network = self.network
        layers = zip(network.net(network.scaling_layer(x)), network.lins, strict=True)
        return torch.cat([_weighted(features, lin.model[-1].weight) for features, lin in layers], dim=1)


def _weighted(features: Tensor, weights: Tensor) -> Tensor:
    """One layer's part `(B, C·h·w)` of LPIPS: unit channels, each times the root of its learned weight `(1, C, 1, 1)`."""
    layer = features / (features.square().sum(dim=1, keepdim=True) + LPIPS_EPS).sqrt()
    return (layer * weights.clamp(min=0.0).sqrt() / math.sqrt(layer[0, 0].numel())).flatten(1)


def lpips_is_here() -> bool:
    """Whether torch's cache holds AlexNet's weights."""
    return (Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET_FILE).is_file()


def best_perceptual(identity: Identity) -> Perceptual | Lpips:
    """LPIPS where its weights are on this machine, else the distance of the identity encoder. Asks no other machine."""
    return load_lpips(identity.device) if lpips_is_here() else perceptual_of_identity(identity)


def load_lpips(device: torch.device | str = "cpu", *, download: bool = False) -> Lpips:
    """LPIPS itself. AlexNet's weights come out of torch's cache, or over the network if `download` allows it."""
    if not download and not lpips_is_here():
        raise ShiftlabError("AlexNet's weights for LPIPS are not on this machine. Allow the download, or use the embedded distance.")
    try:
        return Lpips(device)
    except OSError as error:
        raise ShiftlabError("AlexNet's weights for LPIPS could not be downloaded. Check the connection.") from error

"""Perceptual distance: how far apart two pictures are in the features of a network.

The form is that of Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (CVPR 2018), eq. 1, without
its learned weights: channels of unit length at each place, squared difference, mean over places, then the mean over layers. Only
`load_lpips` is LPIPS itself; every other one says in `.name` whose features it reads, and its numbers compare to none but its own.

LPIPS stands on AlexNet's weights, which nothing here fetches: whoever wants it puts ALEXNET_URL's file into torch's cache.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from pickle import UnpicklingError

import torch
from facenet_pytorch import InceptionResnetV1
from torch import Tensor
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from core.models.identity import Identity
from core.types import ShiftlabError

Features = Callable[[Tensor], Sequence[Tensor]]  # images (B, 3, H, W) in [-1, 1] → feature maps (B, C, h, w)
CHANNEL_EPS = 1e-10
LPIPS_EPS = 1e-8  # torchmetrics' own
ALEXNET_URL = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"  # torchvision's ImageNet weights, which LPIPS stands on
FACENET_LAYERS = ("maxpool_3a", "repeat_1", "repeat_2", "repeat_3")  # the last of each resolution, but for the two largest


class Perceptual:
    """images, images → `(B,)` distances in [0, 4], 0 for equal images; differentiable.

    name: the extractor's, for people. full_name: with its weights' fingerprint, for what is kept longer than an encoder stays the same.
    """

    def __init__(self, features: Features, name: str, full_name: str | None = None) -> None:
        self.features = features
        self.name, self.full_name = name, full_name or name

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


def perceptual_for(identity: Identity | None) -> Perceptual | Lpips | None:
    """The perceptual distance of a lab with this identity encoder; None without one.

    Beside an encoder such as the embedded one, of timm's, its own features: every number that ships was measured with them. Beside FaceNet,
    for photographs, LPIPS where it is on this machine, else FaceNet's features.
    """
    if identity is None:
        return None
    return best_perceptual(identity) if isinstance(identity.model, InceptionResnetV1) else perceptual_of_identity(identity)


def perceptual_of_identity(identity: Identity) -> Perceptual:
    """The distance in the feature maps of an identity encoder, one of timm's networks or FaceNet, on the whole picture."""
    whole = copy.copy(identity)
    whole.crop = None  # FaceNet's crop is the face, and what lies around it can differ as well

    def features(x: Tensor) -> Sequence[Tensor]:
        with torch.autocast(whole.device.type, whole.dtype, enabled=whole.dtype != torch.float32):
            if isinstance(whole.model, InceptionResnetV1):
                return list(_of_facenet(whole.model, whole.preprocess(x)))
            return whole.model.forward_intermediates(whole.preprocess(x), intermediates_only=True)

    name, full_name = (f"perceptual distance ({of})" for of in (identity.name, f"{identity.name} {identity.fingerprint}"))
    return Perceptual(features, name, full_name)


def _of_facenet(model: InceptionResnetV1, x: Tensor) -> Iterator[Tensor]:
    """The feature maps of FACENET_LAYERS; FaceNet's parts stand in the order in which it uses them."""
    for name, part in model.named_children():
        x = part(x)
        if name in FACENET_LAYERS:
            yield x
        if name == FACENET_LAYERS[-1]:
            return


class Lpips:
    """LPIPS with AlexNet and the learned weights of its paper, one number an image."""

    name = full_name = "LPIPS (AlexNet)"

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.network = LearnedPerceptualImagePatchSimilarity(net_type="alex").net.to(device).eval().requires_grad_(False)

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        return self.network(self._taken(a), self._taken(b)).flatten()

    def vectors(self, x: Tensor) -> Tensor:
        """As `Perceptual.vectors`: LPIPS is a squared distance as well, its learned weights being none below 0."""
        network = self.network
        layers = zip(network.net(network.scaling_layer(self._taken(x))), network.lins, strict=True)
        return torch.cat([_weighted(features, lin.model[-1].weight) for features, lin in layers], dim=1)

    def _taken(self, x: Tensor) -> Tensor:
        """Pictures where the network is, wherever they were."""
        return x.to(self.network.lin0.model[-1].weight.device, torch.float32)


def _weighted(features: Tensor, weights: Tensor) -> Tensor:
    """One layer's part `(B, C·h·w)` of LPIPS: unit channels, each times the root of its learned weight `(1, C, 1, 1)`."""
    layer = features / (features.square().sum(dim=1, keepdim=True) + LPIPS_EPS).sqrt()
    return (layer * weights.clamp(min=0.0).sqrt() / math.sqrt(layer[0, 0].numel())).flatten(1)


def best_perceptual(identity: Identity) -> Perceptual | Lpips:
    """LPIPS where its weights are on this machine and whole, else the distance of the identity encoder. Asks no other machine."""
    try:
        return load_lpips(identity.device)
    except ShiftlabError:
        return perceptual_of_identity(identity)


def load_lpips(device: torch.device | str = "cpu") -> Lpips:
    """LPIPS itself, AlexNet's weights out of torch's cache. Raises ShiftlabError where they are not there or broken."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(ALEXNET_URL).name
    if not path.is_file():
        raise ShiftlabError(f"AlexNet's weights for LPIPS are not on this machine. Put the file at {ALEXNET_URL} into {path.parent}.")
    try:
        return Lpips(device)
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        raise ShiftlabError(f"AlexNet's weights for LPIPS in {path} are broken. Put the file at {ALEXNET_URL} in their place.") from error

"""How far two sets of images are apart as distributions: Fréchet and kernel distance, in the features of a named network.

With InceptionV3's features these are FID (Heusel et al., NeurIPS 2017) and KID (Bińkowski et al., ICLR 2018). Without its weights the
embedded CLIP stands in; such numbers compare to none but their own, so the extractor's `name` goes wherever they go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd

from core.models.clip import Clip
from core.types import ShiftlabError

INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"  # torch-fidelity's; the last part begins the file's SHA-256
INCEPTION_FEATURES = 2048
BATCH = 32  # images looked at together


@dataclass(frozen=True)
class Extractor:
    """images `(B, 3, H, W)` in [-1, 1] → features `(B, D)`; `name` says of which network."""

    name: str
    extract: Callable[[Tensor], Tensor]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Features `(N, D)` in float64 on the CPU, of any number of images."""
        return torch.cat([self.extract(part).cpu().double() for part in images.split(BATCH)])


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """‖μ_a − μ_b‖² + tr(Σ_a + Σ_b − 2(Σ_a·Σ_b)^½) of features `(N, D)` and `(M, D)`: FID, if they are Inception's.

    Raises ShiftlabError for fewer than two images on a side.
    """
    _check(a, b)
    metric = FrechetInceptionDistance(feature=_AsGiven(a.shape[1]))
    metric.update(a.double(), real=True)
    metric.update(b.double(), real=False)
    return float(metric.compute())


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """Squared maximum mean discrepancy of features `(N, D)` and `(M, D)` under (x·y/D + 1)³, unbiased: KID, if they are Inception's.

    One estimate over all images in place of a mean over random subsets; the larger set is cut to the smaller. Near 0 it may be negative.
    Published numbers are 10³ times this. Raises ShiftlabError for fewer than two images on a side.
    """
    _check(a, b)
    count = min(len(a), len(b))
    return float(poly_mmd(a[:count].double(), b[:count].double()))


def clip_extractor(clip: Clip) -> Extractor:
    """The image embeddings of a CLIP."""
    return Extractor(f"features of {clip.name} {clip.fingerprint}", clip.encode_image)


def best_extractor(clip: Clip, device: torch.device | str = "cpu") -> Extractor:
    """InceptionV3 where torch's cache holds its weights, else the CLIP. Asks no other machine."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
    return inception_extractor(path, device) if path.is_file() else clip_extractor(clip)


def inception_extractor(path: Path, device: torch.device | str = "cpu") -> Extractor:
    """InceptionV3 as the published FID and KID have it, from torch-fidelity's weight file.

    Raises ShiftlabError for any other file: the library would run whatever code it holds.
    """
    wanted = INCEPTION_FILE.rpartition("-")[2].removesuffix(".pth")
    if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(wanted):
        raise ShiftlabError(f"{path.name} is not the InceptionV3 of torch-fidelity. Delete it, or fetch it anew.")
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # takes seconds to import

    layer = str(INCEPTION_FEATURES)
    network = FeatureExtractorInceptionV3("inception-v3-compat", [layer], feature_extractor_weights_path=str(path)).to(device)

    def extract(images: Tensor) -> Tensor:
        levels = ((images + 1) * 127.5).round().clamp(0, 255).byte()
        return network(levels.to(device))[0]

    return Extractor("InceptionV3", extract)


class _AsGiven(nn.Module):
    """Stands where torchmetrics expects a network: what it is given are features already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def _check(a: Tensor, b: Tensor) -> None:
    if min(len(a), len(b)) < 2:
        raise ShiftlabError("A distance between two sets needs two images of each at least. Take more.")

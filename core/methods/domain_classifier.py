"""EGSDE's domain classifier: tells source from target at every level of noise; its trunk says what belongs to a domain.

The trunk is a small version of guided-diffusion's classifier: residual blocks with the timestep as scale and shift, each halving the image,
until 8 × 8 places are left.
"""

from __future__ import annotations

import math
from itertools import pairwise

from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

from core.types import Edit, ShiftlabError

GROUPS = 8
PLACES = 8  # a side, that the trunk ends with
WIDEST = 4  # times the width of the first block


class DomainClassifier(nn.Module):
    """width: channels of the first block, a multiple of 8; halvings: how often the image is halved."""

    def __init__(self, width: int, halvings: int) -> None:
        super().__init__()
        channels = [width * min(2**i, WIDEST) for i in range(halvings + 1)]
        embedding = 4 * width
        self.time = Timesteps(width, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.embedding = TimestepEmbedding(width, embedding)
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        shape = {"temb_channels": embedding, "groups": GROUPS, "time_embedding_norm": "scale_shift", "down": True}
        self.blocks = nn.ModuleList(ResnetBlock2D(in_channels=old, out_channels=new, **shape) for old, new in pairwise(channels))
        self.head = nn.Sequential(
            nn.GroupNorm(GROUPS, channels[-1]), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], 1)
        )

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        """x `(B, 3, H, W)` noised to t, long `(B,)` → the trunk's output `(B, C, h, w)`."""
        embedded = self.embedding(self.time(t))
        h = self.stem(x)
        for block in self.blocks:
            h = block(h, embedded)
        return h

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Logits `(B,)`: above 0 where x looks like the target domain."""
        return self.head(self.features(x, t)).squeeze(1)


def classifier_for(image_size: int, width: int) -> DomainClassifier:
    """A classifier with random weights, as deep as images of this size need."""
    return DomainClassifier(width, max(1, round(math.log2(image_size / PLACES))))


def classifier_of(edit: Edit) -> DomainClassifier:
    """The classifier that an edit by EGSDE holds, frozen. Raises ShiftlabError where it holds another network."""
    try:
        halvings = 1 + max(int(name.split(".")[1]) for name in edit.weights if name.startswith("blocks."))
        classifier = DomainClassifier(edit.weights["stem.weight"].shape[0], halvings)
        classifier.load_state_dict(edit.weights)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ShiftlabError(f"The edit {edit.card.name!r} holds no domain classifier. Train one with EGSDE on the Tune tab.") from error
    return classifier.eval().requires_grad_(False)

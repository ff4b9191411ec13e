"""The world of portraits: people drawn from parameters in five domains, with captions. See `people`, `figure` and `styles` for how.

>>> people = sample(4, seed=0, smiling=True)
>>> photos, sketches = render(people, "photo"), render(people, "sketch")  # (4, 3, 64, 64) each: the same four people
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.types import ShiftlabError
from core.worlds.captions import ATTRIBUTE_PROMPTS, DOMAIN_PROMPTS, captions
from core.worlds.figure import figure
from core.worlds.people import ATTRIBUTES, Portraits, limited, same_people, sample, with_attributes
from core.worlds.styles import STYLES

__all__ = [
    "ATTRIBUTES", "ATTRIBUTE_PROMPTS", "DOMAINS", "DOMAIN_PROMPTS", "Portraits",
    "captions", "limited", "render", "same_people", "sample", "with_attributes",
]  # fmt: skip

DOMAINS = tuple(STYLES)
SUPERSAMPLE = 2
CHUNK = 64  # portraits drawn at once: about 300 MB of layers at 128 pixels


def render(people: Portraits, domain: str, size: int = 64) -> Tensor:
    """Pictures `(n, 3, size, size)`, float32 in [-1, 1]. An item's picture depends on that item alone.

    Raises ShiftlabError for a domain that is not in DOMAINS.
    """
    if domain not in STYLES:
        raise ShiftlabError(f"There is no domain '{domain}' in the portraits world. Choose one of: {', '.join(DOMAINS)}.")
    chunks = [_render(people[k : k + CHUNK], domain, size) for k in range(0, len(people), CHUNK)]
    return torch.cat(chunks) if chunks else torch.zeros(0, 3, size, size)


def _render(people: Portraits, domain: str, size: int) -> Tensor:
    fine = STYLES[domain](figure(people, size * SUPERSAMPLE)).clamp(0, 1)
    return F.avg_pool2d(fine, SUPERSAMPLE) * 2 - 1

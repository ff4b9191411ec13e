"""What self-training looks at: pseudo-labels, ClassMix, colour jitter and blur (Tranheden et al., "DACS", WACV 2021, as DAFormer has them).

ClassMix: half of the classes of a labelled source crop are pasted, with their labels, onto a target crop with its pseudo-labels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from core.metrics.segmentation import IGNORE

JITTERED, BLURRED = 0.8, 0.5  # shares of the mixed pictures, as in the code of DACS
KERNEL = 0.1  # of the crop's side: the blur's reach
LEAST_SIGMA = 0.15


def pseudo_labels(logits: Tensor, confidence: float) -> tuple[Tensor, float]:
    """(class places `(B, H, W)` uint8, the batch's weight: the share of pixels whose probability is at least `confidence`)."""
    probability, place = logits.softmax(dim=1).max(dim=1)
    return place.to(torch.uint8), float((probability >= confidence).float().mean())


def class_mix(
    source: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor], weight: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """(x, y, w): source pixels of half of each crop's classes over the target crop. w `(B, H, W)`: 1 on pasted pixels, `weight` on others.

    source, target: (x `(B, 3, H, W)`, y `(B, H, W)` uint8). A source pixel without a class is never pasted.
    """
    pasted = torch.stack([_half_of_classes(labels, generator) for labels in source[1]])
    x = torch.where(pasted[:, None], source[0], target[0])
    y = torch.where(pasted, source[1], target[1])
    return x, y, pasted.float() + (~pasted).float() * weight


def strong(x: Tensor, jitter: float, blur: float, generator: torch.Generator) -> Tensor:
    """Colour jitter by up to `jitter` and blur by up to σ `blur` pixels, item by item. x `(B, 3, H, W)` in [-1, 1], as is the result."""
    return torch.stack([_blurred(image, blur, generator) for image in jittered(x, jitter, jitter, generator)])


def jittered(x: Tensor, strength: float, hue: float, generator: torch.Generator) -> Tensor:
    """Most of the pictures with factors of 1 ± strength on brightness, contrast and saturation, and their hue turned by up to ± hue."""
    return torch.stack([_jittered(image, strength, hue, generator) for image in x]) if strength else x


def _half_of_classes(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Where `(H, W)` the pixels of half of the classes are, rounded up."""
    classes = labels.unique()
    classes = classes[classes != IGNORE]
    chosen = classes[torch.randperm(len(classes), generator=generator)[: (len(classes) + 1) // 2]]
    return torch.isin(labels, chosen)


def _jittered(image: Tensor, strength: float, hue: float, generator: torch.Generator) -> Tensor:
    draw, *shifts = (2 * torch.rand(5, generator=generator) - 1).tolist()
    if draw >= 2 * JITTERED - 1:
        return image
    bright, contrast, colour, turn = (by * shift for by, shift in zip((strength, strength, strength, hue), shifts, strict=True))
    image = transforms.adjust_brightness((image + 1) / 2, 1 + bright)
    image = transforms.adjust_saturation(transforms.adjust_contrast(image, 1 + contrast), 1 + colour)
    return transforms.adjust_hue(image, turn) * 2 - 1


def _blurred(image: Tensor, largest: float, generator: torch.Generator) -> Tensor:
    draw, size = torch.rand(2, generator=generator).tolist()
    if not largest or draw >= BLURRED:
        return image
    reach = max(3, 2 * (round(KERNEL * image.shape[-1]) // 2) + 1)
    return transforms.gaussian_blur(image, [reach, reach], [LEAST_SIGMA + size * max(0.0, largest - LEAST_SIGMA)] * 2)

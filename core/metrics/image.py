"""How far a picture is from its reference, pixel by pixel. Images are `(B, 3, H, W)` in [-1, 1]; every metric gives one number an image."""

from __future__ import annotations

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

DATA_RANGE = 2.0  # of images in [-1, 1]


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio `(B,)` in dB over all three channels; infinite for equal images."""
    return peak_signal_noise_ratio(a, b, data_range=DATA_RANGE, reduction="none", dim=(1, 2, 3))


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity `(B,)`, 1 for equal images: Gaussian window of σ 1.5, torchmetrics' definition, padded borders included.

    Computed on [0, 1]: its constants assume that values begin at zero.
    """
    return structural_similarity_index_measure((a + 1) / 2, (b + 1) / 2, data_range=1.0, reduction="none").reshape(-1)

"""How far a picture is from its reference, pixel by pixel. Images are `(B, 3, H, W)` in [-1, 1]; every metric gives one number an image.

paper_compatible: as SDFT's published PSNR and SSIM were computed (Hur et al., WACV 2024, Table 1): on the luma of BT.601, of values in
[-1, 1] that are taken for a range of 1. PSNR comes out about 6 dB lower; such numbers compare to the paper's and to none else.
"""

from __future__ import annotations

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

DATA_RANGE = 2.0  # of images in [-1, 1]
PAPER_RANGE = 1.0
LUMA = (0.299, 0.587, 0.114)  # BT.601


def psnr(a: Tensor, b: Tensor, *, paper_compatible: bool = False) -> Tensor:
    """Peak signal-to-noise ratio `(B,)` in dB over all three channels; infinite for equal images."""
    if paper_compatible:
        return peak_signal_noise_ratio(_luma(a), _luma(b), data_range=PAPER_RANGE, reduction="none", dim=(1, 2, 3))
    return peak_signal_noise_ratio(a, b, data_range=DATA_RANGE, reduction="none", dim=(1, 2, 3))


def ssim(a: Tensor, b: Tensor, *, paper_compatible: bool = False) -> Tensor:
    """Structural similarity `(B,)`, 1 for equal images: Gaussian window of σ 1.5, torchmetrics' definition, padded borders included.

    Computed on [0, 1]: its constants assume that values begin at zero. paper_compatible does without that.
    """
    a, b = (_luma(a), _luma(b)) if paper_compatible else ((a + 1) / 2, (b + 1) / 2)
    return structural_similarity_index_measure(a, b, data_range=PAPER_RANGE, reduction="none").reshape(-1)


def _luma(x: Tensor) -> Tensor:
    """`(B, 1, H, W)` in the range of x."""
    return (x * x.new_tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)

"""How far the light and dark of a picture have moved, whatever became of its colours, its contrast and its texture.

The local normalised cross-correlation of image registration (Avants et al., "Symmetric diffeomorphic image registration with
cross-correlation", Medical Image Analysis 12, 2008): within a small window only the shape of light and dark counts, not how
light, how dark or how strong it is. A dark mouth on a light face stays where it is and as it is bent, be it painted, drawn or photographed.
With its sign, unlike there: what is light and dark the other way round is another picture.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

SIDE = 64  # pixels at which pictures are compared: what tells a face from another is not finer
WINDOW = 5  # pixels of them a window has a side
FLAT = 1e-3  # added to a window's variance, in [-1, 1]²: where a picture is flat there is nothing to keep


def structure_loss(x: Tensor, x0: Tensor) -> Tensor:
    """1 − the mean correlation of both pictures' windows, `(B,)`: about 0 where the structure stayed, 1 where nothing of it is left.

    Windows count by the contrast of x0: lips and glasses more than the shimmer of hair, which a style may draw in its own way.
    x, x0: `(B, C, H, W)` in [-1, 1], at least WINDOW pixels a side; gradient into x.
    """
    a, b = _lightness(x), _lightness(x0)
    mean_a, mean_b = _windows(a), _windows(b)
    together = _windows(a * b) - mean_a * mean_b
    variance_a, variance_b = ((_windows(c * c) - mean * mean).clamp(min=0) for c, mean in ((a, mean_a), (b, mean_b)))
    correlation = together / ((variance_a + FLAT) * (variance_b + FLAT)).sqrt()
    contrast = variance_b.sqrt()
    return 1.0 - (correlation * contrast).sum(dim=(1, 2, 3)) / contrast.sum(dim=(1, 2, 3)).clamp(min=FLAT)


def _lightness(x: Tensor) -> Tensor:
    """The mean of the channels `(B, 1, ≤ SIDE, ≤ SIDE)`."""
    return F.adaptive_avg_pool2d(x.mean(dim=1, keepdim=True), [min(SIDE, side) for side in x.shape[-2:]])


def _windows(values: Tensor) -> Tensor:
    """The mean of every window that lies whole in the picture."""
    return F.avg_pool2d(values, WINDOW, stride=1)

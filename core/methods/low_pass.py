"""EGSDE's low-pass filter (ILVR's, Choi et al., ICCV 2021): down by N and up again, linear and anti-aliased, which keeps what is coarse.

Beyond its borders the image is mirrored. (torch's anti-aliased interpolation cuts its kernel there, so the two differ near the borders.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.types import ShiftlabError


class LowPass:
    """A linear map of square images: the same matrix `(size, size)` on rows and on columns. N must divide the size."""

    def __init__(self, size: int, n: int, device: torch.device | str = "cpu") -> None:
        if size % n:
            raise ShiftlabError(f"A low-pass factor of {n} does not divide pictures of {size} px. Choose another, such as {size // 2}.")
        matrix = _resizing(size // n, size) @ _resizing(size, size // n)
        self.matrix = matrix.to(device, torch.float32)

    def __call__(self, x: Tensor) -> Tensor:
        """x `(B, 3, size, size)` → the same without its fine detail."""
        return self.matrix @ x @ self.matrix.T


def _resizing(old: int, new: int) -> Tensor:
    """The matrix `(new, old)` in float64 that resizes a line: a triangle of half-width max(1, old / new) around each new place."""
    scale = new / old
    width = max(1.0, 1.0 / scale)
    centres = (torch.arange(new, dtype=torch.float64) + 0.5) / scale - 0.5  # in places of the old line
    reach = int(width) + 1
    places = torch.arange(-reach, old + reach)
    weights = (1.0 - (centres[:, None] - places).abs() / width).clamp(min=0.0)
    turn = places % (2 * old)
    mirrored = torch.where(turn < old, turn, 2 * old - 1 - turn)
    matrix = torch.zeros(new, old, dtype=torch.float64).index_add_(1, mirrored, weights)
    return matrix / matrix.sum(dim=1, keepdim=True)

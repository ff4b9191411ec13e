"""EGSDE's energy (Zhao et al., NeurIPS 2022, section 3): away from what is the source domain's, close to what both domains share."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from core.methods.low_pass import LowPass
from core.process.ddim import add_noise
from core.process.noise import ItemNoise
from core.process.sampling import Correction, batch_t
from core.process.schedule import Schedule

Features = Callable[[Tensor, Tensor], Tensor]  # images (B, 3, H, W), t (B,) → (B, C, h, w)


class Energy:
    """λs·cos(E(y, t), E(x_t, t)), a mean over places, + λi·‖LP(y) − LP(x_t)‖², one number an image; low where the sample should go.

    A term of weight 0 is not computed, and its features or filter may then be None.
    """

    def __init__(self, features: Features | None, low_pass: LowPass | None, lambda_s: float, lambda_i: float) -> None:
        self.features, self.low_pass = features, low_pass
        self.lambda_s, self.lambda_i = lambda_s, lambda_i

    def __call__(self, y: Tensor, x_t: Tensor, t: int) -> Tensor:
        """y: the sample, x_t: the source noised to the same t, each `(B, 3, H, W)`. Returns `(B,)`."""
        energy = 0.0 * y.sum(dim=(1, 2, 3))  # so that there is a gradient, of zeros, where both weights are 0
        if self.features is not None and self.lambda_s:
            times = batch_t(t, y)
            alike = F.cosine_similarity(self.features(y, times), self.features(x_t, times), dim=1)
            energy = energy + self.lambda_s * alike.mean(dim=(1, 2))
        if self.low_pass is not None and self.lambda_i:
            energy = energy + self.lambda_i * self.low_pass(y - x_t).square().sum(dim=(1, 2, 3))
        return energy

    def gradient(self, y: Tensor, x_t: Tensor, t: int) -> Tensor:
        """∇_y of the energy, `(B, 3, H, W)`; each image's is its own."""
        with torch.enable_grad():
            y = y.detach().requires_grad_(True)
            return torch.autograd.grad(self(y, x_t, t).sum(), y)[0]

    def push(self, y: Tensor, x_t: Tensor, t: int, n: int, schedule: Schedule) -> Tensor:
        """What the energy adds to the step from t to n: −(β/√α)·∇E with α = ᾱ_t/ᾱ_n and β = 1 − α, the paper's for n = t − 1."""
        alpha = schedule.alpha_bar_at(t) / schedule.alpha_bar_at(n)
        return -(1.0 - alpha) / alpha.sqrt() * self.gradient(y, x_t, t)


def guidance(energy: Energy, images: Tensor, noise: ItemNoise, schedule: Schedule) -> Correction:
    """A generation's correction: at each step the source images `(B, 3, H, W)` are noised anew, and the energy pushes the sample."""

    def correct(lower: Tensor, y: Tensor, t: int, n: int) -> Tensor:
        x_t = add_noise(images, t, noise.normal(images.shape[1:]), schedule)
        return lower + energy.push(y, x_t, t, n, schedule)

    return correct

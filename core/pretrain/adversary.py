"""Perturbations inside an L2 ball that raise a loss: projected gradient ascent (Madry et al., ICLR 2018), and its "free" form.

A network trained on them has input gradients that look like the thing they point to (Tsipras et al., "Robustness may be at odds with
accuracy", ICLR 2019; Santurkar et al., 2019), which is what an edit by gradient descent needs. Free training (Shafahi et al., NeurIPS 2019)
replays a batch several times and takes both gradients, the weights' and the picture's, from one backward pass.

Radii are L2 norms of a whole image `(3, H, W)` in [-1, 1]; 6 on 64x64 pixels is 0.054 a value.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

NORM_EPS = 1e-12


def unit(delta: Tensor) -> Tensor:
    """Each item `(3, H, W)` of a batch divided by its L2 norm."""
    return delta / delta.flatten(1).norm(dim=1).clamp_min(NORM_EPS).view(-1, 1, 1, 1)


def project(delta: Tensor, radius: Tensor) -> Tensor:
    """Each item shortened to its own radius `(B,)` where it is longer."""
    norm = delta.flatten(1).norm(dim=1).clamp_min(NORM_EPS)
    return delta * (radius / norm).clamp_max(1.0).view(-1, 1, 1, 1)


def random_start(x: Tensor, radius: Tensor) -> Tensor:
    """A random direction with half the radius `(B,)`, laid out in memory like x."""
    return unit(torch.randn_like(x)) * (0.5 * radius).view(-1, 1, 1, 1)


def ascend(delta: Tensor, gradient: Tensor, radius: Tensor, step: float) -> Tensor:
    """One step of length step·radius along the gradient of the loss, then back into the ball."""
    return project(delta + unit(gradient) * (step * radius).view(-1, 1, 1, 1), radius)


def pgd(x: Tensor, loss_of: Callable[[Tensor], Tensor], radius: float, steps: int) -> Tensor:
    """x plus the perturbation that `steps` steps of ascent on loss_of(images) → scalar find inside `radius`. For evaluation."""
    radii = torch.full((len(x),), radius)
    delta = random_start(x, radii)
    for _ in range(steps):
        delta.requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss_of(x + delta), delta)
        delta = ascend(delta.detach(), gradient, radii, step=2.5 / steps)
    return x + delta.detach()

"""What the judge learns from: portraits of all domains, lightly moved, and pictures that are none of the domains.

"None of these" is what failed or half-done edits look like: blurred, noisy, dissolved into another person, cut into patches, flattened
in colour, or half way between two domains. A judge that has seen them does not count them as success.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.pretrain.dataset import batch_of


def lightly(x: Tensor) -> Tensor:
    """Shift of up to 2 px, brightness ±0.06, noise up to 0.03: enough not to read single pixels, too little to make the judge lenient."""
    dx, dy = (int(v) for v in torch.randint(-2, 3, (2,)))
    height, width = x.shape[-2:]
    x = F.pad(x, (2, 2, 2, 2), mode="replicate")[..., 2 + dy : 2 + dy + height, 2 + dx : 2 + dx + width]
    brightness = torch.empty(len(x), 1, 1, 1).uniform_(-0.06, 0.06)
    sigma = torch.empty(len(x), 1, 1, 1).uniform_(0, 0.03)
    return (x + brightness + sigma * torch.randn_like(x)).clamp(-1, 1)


def _share(n: int, low: float, high: float) -> Tensor:
    return torch.empty(n, 1, 1, 1).uniform_(low, high)


def blurred(x: Tensor, other: Tensor) -> Tensor:
    """Kept at 1/5 to 1/10 of the resolution."""
    side = int(torch.randint(6, 14, ()))
    return F.interpolate(F.adaptive_avg_pool2d(x, side), size=x.shape[-2:], mode="bilinear")


def noisy(x: Tensor, other: Tensor) -> Tensor:
    """Under noise of standard deviation 0.35 to 1."""
    return (x + _share(len(x), 0.35, 1.0) * torch.randn_like(x)).clamp(-1, 1)


def dissolved(x: Tensor, other: Tensor) -> Tensor:
    """The centre, where the face is, replaced by its coarse colours or by a soft cloud of noise."""
    height, width = x.shape[-2:]
    y, z = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    mask = torch.sigmoid(8 * (0.65 - (y**2 + z**2).sqrt()))
    coarse = F.interpolate(F.adaptive_avg_pool2d(x, 5), size=(height, width), mode="bilinear")
    cloud = F.interpolate(torch.randn(len(x), 3, 8, 8), size=(height, width), mode="bicubic").clamp(-1, 1)
    return x + mask * (coarse + _share(len(x), 0, 0.5) * cloud - x)


def shuffled(x: Tensor, other: Tensor) -> Tensor:
    """Cut into 16 patches that change places."""
    n, c, height, width = x.shape
    patches = x.reshape(n, c, 4, height // 4, 4, width // 4).permute(2, 4, 0, 1, 3, 5).flatten(0, 1)
    patches = patches[torch.randperm(16)].unflatten(0, (4, 4))
    return patches.permute(2, 3, 0, 4, 1, 5).reshape(n, c, height, width)


def flattened(x: Tensor, other: Tensor) -> Tensor:
    """Contrast lost to a flat colour: 5 to 25 % of the picture remain."""
    mean = x.mean(dim=(2, 3), keepdim=True)
    return mean + _share(len(x), 0.05, 0.25) * (x - mean)


def half_way(x: Tensor, other: Tensor) -> Tensor:
    """The same portrait half way to another domain: between 35 and 65 % of each."""
    return torch.lerp(x, other, _share(len(x), 0.35, 0.65))


FAILURES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (blurred, noisy, dissolved, shuffled, flattened, half_way, half_way)


def spoiled(x: Tensor, other: Tensor) -> Tensor:
    """Each eighth or so of the batch spoiled in another way. other: the same portraits in other domains."""
    places = torch.arange(len(x)) % len(FAILURES)
    result = torch.empty_like(x)
    for place, failure in enumerate(FAILURES):
        chosen = places == place
        if chosen.any():
            result[chosen] = failure(x[chosen], other[chosen])
    return result


def judge_batch(images: Mapping[str, np.ndarray], attributes: Tensor, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """A random batch: pictures `(B, 3, H, W)`, domain labels `(B,)`, attributes `(B, A)`; the last third is spoiled, label len(images).

    Attributes of spoiled pictures are not to be learned from.
    """
    stacks, count = list(images.values()), len(attributes)
    index, domain = torch.randint(count, (batch,)), torch.randint(len(stacks), (batch,))
    other = (domain + torch.randint(1, len(stacks), (batch,))) % len(stacks)
    x = _gather(stacks, domain, index)
    good = batch - batch // 3
    spoilt = spoiled(x[good:], _gather(stacks, other[good:], index[good:]))
    label = torch.cat([domain[:good], torch.full((batch - good,), len(stacks))])
    return torch.cat([lightly(x[:good]), spoilt]).contiguous(memory_format=torch.channels_last), label, attributes[index].float()


def _gather(stacks: list[np.ndarray], domain: Tensor, index: Tensor) -> Tensor:
    """Picture index[i] of stack domain[i], `(len(index), 3, H, W)` in [-1, 1]."""
    result = torch.empty(len(index), *stacks[0].shape[1:])
    for place, stack in enumerate(stacks):
        chosen = domain == place
        result[chosen] = batch_of(stack, index[chosen])
    return result

"""What CLIP is trained to do, term by term. `e` are unit image features in the order of `Batch.images`, `t` unit text features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.pretrain.clip_batch import Batch, attribute_table
from core.worlds.portraits import ATTRIBUTES

WEIGHTS = {"contrast": 1.0, "domain": 1.0, "attribute": 1.0, "domain_direction": 1.0, "half_way_direction": 0.5, "attribute_direction": 1.0}
DISTINCT_SHARE = 0.3  # from this share of the second domain on, a half-way picture must lie in its direction
NEUTRAL_CHANCE = 0.5  # of an attribute's direction to start at the prompt that does not name the attribute


def cosine_of_directions(image_from: Tensor, image_to: Tensor, text_from: Tensor, text_to: Tensor) -> Tensor:
    """cos(ΔI, ΔT), item by item `(B,)`: the number that DiffusionCLIP's loss climbs."""
    return F.cosine_similarity(image_to - image_from, text_to - text_from, dim=-1, eps=1e-6)


def contrast_loss(e: Tensor, t: Tensor, same: Tensor, scale: Tensor) -> Tensor:
    """CLIP's symmetric cross-entropy over the batch; equal captions `same` `(B, B)` share the target."""
    logits = scale * e @ t.T
    target = same.float() / same.sum(dim=1, keepdim=True)
    return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))


def attribute_loss(e: Tensor, table: Tensor, batch: Batch, trusted: Tensor, scale: Tensor) -> Tensor:
    """Binary cross-entropy of "with" against "without", said about the picture's own domain, over the trusted pictures `(3G,)`."""
    of_domain = table[batch.domains_of_pictures()]  # (3G, 6, 2, D)
    logits = scale * torch.einsum("bd,bad->ba", e, of_domain[:, :, 1] - of_domain[:, :, 0])
    loss = F.binary_cross_entropy_with_logits(logits, batch.attributes.float(), reduction="none").mean(dim=1)
    return (loss * trusted).sum() / trusted.sum().clamp_min(1)


def domain_direction_losses(e: Tensor, domains: Tensor, captions: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """1 − cos(ΔI, ΔT) from the first picture to the second and to the half-way one, ΔT from the plain prompts or from the captions."""
    first, second, _, between = e.chunk(4)
    caption_first, caption_second = captions.chunk(2)
    by_prompt = (torch.rand(len(batch), 1) < 0.5).float()
    text_first = by_prompt * domains[batch.first] + (1 - by_prompt) * caption_first
    text_second = by_prompt * domains[batch.second] + (1 - by_prompt) * caption_second
    whole = 1 - cosine_of_directions(first, second, text_first, text_second)
    part = 1 - cosine_of_directions(first, between, text_first, text_second)
    distinct = (batch.share > DISTINCT_SHARE).float()
    return whole.mean(), (part * distinct).sum() / distinct.sum().clamp_min(1)


def attribute_direction_loss(e: Tensor, domains: Tensor, table: Tensor, batch: Batch, trusted: Tensor) -> Tensor:
    """1 − cos(ΔI, ΔT) from a picture to the one with an attribute flipped, over the trusted groups `(G,)`."""
    plain, _, flipped, _ = e.chunk(4)
    now = batch.flipped_to.long()
    text_to = table[batch.first, batch.which, now]
    opposite = table[batch.first, batch.which, 1 - now]
    neutral = (torch.rand(len(batch), 1) < NEUTRAL_CHANCE).float()
    text_from = neutral * domains[batch.first] + (1 - neutral) * opposite
    loss = 1 - cosine_of_directions(plain, flipped, text_from, text_to)
    return (loss * trusted).sum() / trusted.sum().clamp_min(1)


def clip_losses(e: Tensor, t: Tensor, batch: Batch, trusted: Tensor, scale: Tensor) -> dict[str, Tensor]:
    """All terms. t: features of captions, then prompts. trusted `(G,)`: 1 where a perturbation is too small to change an attribute."""
    groups = len(batch)
    captions = t[: 2 * groups]
    domains, table = attribute_table(t[2 * groups :])
    whole, part = domain_direction_losses(e, domains, captions, batch)
    return {
        "contrast": contrast_loss(e[: 2 * groups], captions, batch.same_caption, scale),
        "domain": F.cross_entropy(scale * e @ domains.T, batch.domain_targets()),
        "attribute": attribute_loss(e[: 3 * groups], table, batch, trusted.repeat(3), scale) * len(ATTRIBUTES) / 2,
        "domain_direction": whole,
        "half_way_direction": part,
        "attribute_direction": attribute_direction_loss(e, domains, table, batch, trusted),
    }


def weighted_sum(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack([WEIGHTS[name] * value for name, value in losses.items()]).sum()

"""What CLIP is trained to do, term by term. `e` are unit image features in the order of `Batch.images`, `t` unit text features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.pretrain.clip_batch import Batch, attribute_table
from core.worlds.portraits import ATTRIBUTES

WEIGHTS = {
    "contrast": 1.0, "domain": 1.0, "attribute": 1.0, "domain_direction": 1.0, "half_way_direction": 2.0, "attribute_direction": 1.0,
    "fooled": 2.0,
}  # fmt: skip
NEUTRAL_CHANCE = 0.5  # of an attribute's direction to start at the prompt that does not name the attribute
ALLOWED_DOMAIN, ALLOWED_ATTRIBUTE = 0.1, 0.3  # cosines that a perturbation may reach: it does change a tenth of a photo, a third of a smile
SHORTEST = 0.05  # image directions shorter than this are not blown up to unit length


def cosine_of_directions(image_from: Tensor, image_to: Tensor, text_from: Tensor, text_to: Tensor) -> Tensor:
    """cos(ΔI, ΔT), item by item `(B,)`: the number that DiffusionCLIP's loss climbs."""
    image, text = image_to - image_from, text_to - text_from
    return (image * text).sum(dim=-1) / (image.norm(dim=-1).clamp_min(SHORTEST) * text.norm(dim=-1).clamp_min(1e-6))


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


def domain_direction_losses(e: Tensor, reference: Tensor, domains: Tensor, captions: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """From the reference `(G, D)`, the first picture before it was perturbed: 1 − cos(ΔI, ΔT) to the second picture, and
    (cos(ΔI, ΔT) − share)² to the half-way one, so that the cosine goes on rising until the last bit has changed.

    ΔT is taken from the plain prompts or from the captions.
    """
    _, second, _, between = e.chunk(4)
    caption_first, caption_second = captions.chunk(2)
    by_prompt = (torch.rand(len(batch), 1) < 0.5).float()
    text_first = by_prompt * domains[batch.first] + (1 - by_prompt) * caption_first
    text_second = by_prompt * domains[batch.second] + (1 - by_prompt) * caption_second
    whole = 1 - cosine_of_directions(reference, second, text_first, text_second)
    part = cosine_of_directions(reference, between, text_first, text_second) - batch.share
    return whole.mean(), part.square().mean()


def fooled_loss(e: Tensor, reference: Tensor, domains: Tensor, table: Tensor, batch: Batch, trusted: Tensor) -> Tensor:
    """Squared excess of cos(ΔI, ΔT) from the reference to the same picture perturbed, over every direction that a text can name there.

    Without it a change of a few grey values already points all the way to "a pencil sketch", and an edit has nowhere left to go.
    """
    first = e.chunk(4)[0]
    text = domains[batch.first][:, None]  # (G, 1, D)
    to_domain = cosine_of_directions(reference[:, None], first[:, None], text, domains[None])  # (G, 5); zero for its own domain
    of_domain = table[batch.first]  # (G, 6, 2, D)
    flips = cosine_of_directions(reference[:, None], first[:, None], of_domain[:, :, 0], of_domain[:, :, 1])  # (G, 6)
    domain_excess = F.relu(to_domain - ALLOWED_DOMAIN).square().sum(dim=1)
    attribute_excess = F.relu(flips.abs() - ALLOWED_ATTRIBUTE).square().sum(dim=1) * trusted
    return (domain_excess + attribute_excess).mean()


def attribute_direction_loss(e: Tensor, reference: Tensor, domains: Tensor, table: Tensor, batch: Batch, trusted: Tensor) -> Tensor:
    """1 − cos(ΔI, ΔT) from the reference to the picture with an attribute flipped, over the trusted groups `(G,)`."""
    flipped = e.chunk(4)[2]
    now = batch.flipped_to.long()
    text_to = table[batch.first, batch.which, now]
    opposite = table[batch.first, batch.which, 1 - now]
    neutral = (torch.rand(len(batch), 1) < NEUTRAL_CHANCE).float()
    text_from = neutral * domains[batch.first] + (1 - neutral) * opposite
    loss = 1 - cosine_of_directions(reference, flipped, text_from, text_to)
    return (loss * trusted).sum() / trusted.sum().clamp_min(1)


def clip_losses(e: Tensor, t: Tensor, batch: Batch, trusted: Tensor, scale: Tensor, reference: Tensor | None) -> dict[str, Tensor]:
    """All terms. t: features of captions, then prompts. trusted `(G,)`: 1 where a perturbation is too small to change an attribute.

    reference: `(G, D)` features of the first pictures from the batch's first replay; None in that replay itself.
    """
    groups = len(batch)
    captions = t[: 2 * groups]
    domains, table = attribute_table(t[2 * groups :])
    start = e[:groups] if reference is None else reference
    whole, part = domain_direction_losses(e, start, domains, captions, batch)
    return {
        "contrast": contrast_loss(e[: 2 * groups], captions, batch.same_caption, scale),
        "domain": F.cross_entropy(scale * e @ domains.T, batch.domain_targets()),
        "attribute": attribute_loss(e[: 3 * groups], table, batch, trusted.repeat(3), scale) * len(ATTRIBUTES) / 2,
        "domain_direction": whole,
        "half_way_direction": part,
        "attribute_direction": attribute_direction_loss(e, start, domains, table, batch, trusted),
        "fooled": fooled_loss(e, start, domains, table, batch, trusted),
    }


def weighted_sum(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack([WEIGHTS[name] * value for name, value in losses.items()]).sum()

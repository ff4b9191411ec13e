"""What the embedded CLIP is worth: figures on unseen portraits, and pictures of where its gradients lead.

The sheets are the test that counts. Photos are changed pixel by pixel, by gradient ascent on DiffusionCLIP's own loss and with no diffusion
model to hold them together; if they turn into paper with dark contours, the gradients are worth following.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc

from core.models.clip import Clip, normalised
from core.pretrain.adversary import pgd
from core.pretrain.dataset import to_bytes
from core.worlds.portraits import ATTRIBUTE_PROMPTS, ATTRIBUTES, DOMAIN_PROMPTS, DOMAINS, Portraits, render, sample

UNSEEN_SEED = 9001
RADII = (0.0, 2.0, 4.0, 6.0)
PGD_STEPS = 10
ASCENTS = {
    **{domain: (DOMAIN_PROMPTS["photo"], DOMAIN_PROMPTS[domain]) for domain in DOMAINS if domain != "photo"},
    **{attribute: ATTRIBUTE_PROMPTS[attribute] for attribute in ("smiling", "glasses", "beard", "old")},
}
LOGIT_SCALE = 50.0


def measure(clip: Clip, people: int = 256, attacked: int = 32) -> dict[str, float]:
    """Zero-shot accuracy, AUC of each attribute in photos, robust accuracy, mean cosines of true pairs. A few minutes on one core."""
    portraits = sample(people, UNSEEN_SEED)
    features = {domain: embed(clip, render(portraits, domain)) for domain in DOMAINS}
    figures = {"domain accuracy": domain_accuracy(clip, features)}
    figures |= {f"AUC {attribute}, photo": auc(clip, features["photo"], portraits, attribute) for attribute in ATTRIBUTES}
    for radius in RADII[1:]:
        figures[f"domain accuracy, L2 radius {radius:g}, {PGD_STEPS} steps"] = robust_accuracy(clip, portraits[:attacked], radius)
    figures |= {f"cos(ΔI, ΔT) photo → {domain}": domain_cosine(clip, features, domain) for domain in DOMAINS if domain != "photo"}
    figures |= {f"cos(ΔI, ΔT) {attribute}, photo": attribute_cosine(clip, portraits, attribute) for attribute in ATTRIBUTES}
    return {name: round(float(value), 4) for name, value in figures.items()}


@torch.no_grad()
def embed(clip: Clip, images: Tensor) -> Tensor:
    return torch.cat([clip.encode_image(part) for part in images.split(64)])


def domain_accuracy(clip: Clip, features: dict[str, Tensor]) -> Tensor:
    """Share of pictures whose nearest domain prompt is their own domain's."""
    prompts = clip.encode_text([DOMAIN_PROMPTS[domain] for domain in DOMAINS])
    right = [(features[domain] @ prompts.T).argmax(dim=1) == number for number, domain in enumerate(DOMAINS)]
    return torch.cat(right).float().mean()


def auc(clip: Clip, features: Tensor, portraits: Portraits, attribute: str) -> Tensor:
    """Area under the ROC of cos(image, positive) − cos(image, negative) as a detector of an attribute."""
    negative, positive = clip.encode_text(list(ATTRIBUTE_PROMPTS[attribute]))
    return binary_auroc(features @ (positive - negative), getattr(portraits, attribute).long(), thresholds=None)


def robust_accuracy(clip: Clip, portraits: Portraits, radius: float) -> Tensor:
    """Domain accuracy when each picture may be changed by an L2 distance of `radius` to make it wrong."""
    prompts = clip.encode_text([DOMAIN_PROMPTS[domain] for domain in DOMAINS])
    images = torch.cat([render(portraits, domain) for domain in DOMAINS])
    truth = torch.arange(len(DOMAINS)).repeat_interleave(len(portraits))
    right = []
    for part, label in zip(images.split(32), truth.split(32), strict=True):
        attack = pgd(part, _cross_entropy(clip, prompts, label), radius, PGD_STEPS)
        right.append((embed(clip, attack) @ prompts.T).argmax(dim=1) == label)
    return torch.cat(right).float().mean()


def _cross_entropy(clip: Clip, prompts: Tensor, label: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda images: F.cross_entropy(LOGIT_SCALE * clip.encode_image(images) @ prompts.T, label, reduction="sum")


def domain_cosine(clip: Clip, features: dict[str, Tensor], domain: str) -> Tensor:
    """Mean cos(ΔI, ΔT) of the same portraits drawn as photo and in the domain."""
    direction = normalised(clip.difference(DOMAIN_PROMPTS["photo"], DOMAIN_PROMPTS[domain]))
    return F.cosine_similarity(features[domain] - features["photo"], direction, dim=-1).mean()


def attribute_cosine(clip: Clip, portraits: Portraits, attribute: str) -> Tensor:
    """Mean cos(ΔI, ΔT) of the same photos without and with an attribute."""
    without, having = portraits.attributes.clone(), portraits.attributes.clone()
    without[:, ATTRIBUTES.index(attribute)], having[:, ATTRIBUTES.index(attribute)] = False, True
    before, after = (embed(clip, render(replace(portraits, attributes=values), "photo")) for values in (without, having))
    return F.cosine_similarity(after - before, normalised(clip.difference(*ATTRIBUTE_PROMPTS[attribute])), dim=-1).mean()


def pixel_ascent(clip: Clip, images: Tensor, direction: Tensor, steps: int = 60, lr: float = 0.03, l1: float = 1.0) -> Tensor:
    """Images after Adam on their pixels under DiffusionCLIP's loss 3·(−log((1 + cos(ΔI, ΔT))/2)) + l1·mean|x − x0|."""
    with torch.no_grad():
        start = clip.encode_image(images)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    pixels = (images + 0.02 * noise).requires_grad_(True)  # at x0 itself ΔI is zero and has no direction
    optimizer = torch.optim.Adam([pixels], lr=lr)
    for _ in range(steps):
        cosine = F.cosine_similarity(clip.encode_image(pixels) - start, direction[None], dim=-1, eps=1e-7)
        loss = (-3 * torch.log((1 + cosine) / 2 + 1e-7)).sum() + l1 * (pixels - images).abs().mean(dim=(1, 2, 3)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        pixels.data.clamp_(-1, 1)
    return pixels.detach()


def write_sheets(clip: Clip, folder: Path, count: int = 12) -> None:
    """`ascent.png`: 12 unseen photos, then a row of ascents for each prompt pair of ASCENTS."""
    folder.mkdir(parents=True, exist_ok=True)
    portraits = sample(count, UNSEEN_SEED, smiling=False, glasses=False, beard=False, old=False)
    photos = render(portraits, "photo")
    rows = [photos, *(pixel_ascent(clip, photos, clip.text_direction(*prompts)) for prompts in ASCENTS.values())]
    sheet = torch.cat([torch.cat(list(to_bytes(row)), dim=2) for row in rows], dim=1).permute(1, 2, 0)
    picture = Image.fromarray(sheet.contiguous().numpy())
    picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.NEAREST).save(folder / "ascent.png")

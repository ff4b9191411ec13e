"""The losses of DiffusionCLIP (Kim et al., CVPR 2022, equations 3, 8 and 9), one number an image, and four that it does not have.

Patches and strokes of target images show what a direction is content without (core/methods/patches.py); what tells two pictures of a batch
apart stays, as in cross-domain correspondence (Ojha et al., "Few-shot Image Generation via Cross-domain Correspondence", CVPR 2021);
and so do the shapes of light and dark, which L1 could only keep with their colours (core/methods/structure.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.methods.patches import patch_distance, stroke_distance
from core.methods.structure import structure_loss
from core.models.clip import Clip, normalised
from core.models.identity import Identity

SMALLEST_AGREEMENT = 1e-7  # keeps the logarithm finite where an image has moved exactly against the direction


def direction_loss(change: Tensor, direction: Tensor) -> Tensor:
    """−log((1 + cos(ΔI, ΔT)) / 2): 0 when the image moved along the direction, log 2 across it, growing without bound against it.

    change: E_I(x̂0) − E_I(x0), `(B, D)`; direction: ΔT `(D,)` of unit length. Returns `(B,)`.
    """
    cosine = normalised(change) @ direction
    return -torch.log(((1.0 + cosine) / 2.0).clamp(min=SMALLEST_AGREEMENT))


def l1_loss(x: Tensor, x0: Tensor) -> Tensor:
    """Mean absolute difference over pixels and channels, `(B,)`."""
    return (x - x0).abs().mean(dim=(1, 2, 3))


def pairs_loss(embeddings: Tensor, originals: Tensor) -> Tensor:
    """1 − cosine of the difference of each two items of a batch, after and before, both `(B, D)`, B ≥ 2: `()`, 0 where all stayed."""
    one, other = torch.triu_indices(len(originals), len(originals), offset=1, device=originals.device)
    return 1.0 - F.cosine_similarity(embeddings[one] - embeddings[other], originals[one] - originals[other]).mean()


def most_alike(embeddings: Tensor, among: Tensor, count: int) -> Tensor:
    """Which of `among` `(M, D)` differ from their mean most as each of `embeddings` `(N, D)` does from theirs: places `(N, ≤ count)`.

    So the one mean difference of two domains does not count, and a face that smiles finds those that smile.
    """
    of, others = (normalised(rows - rows.mean(dim=0)) for rows in (embeddings, among))
    return (of @ others.T).topk(min(count, len(among)), dim=1).indices


@dataclass(frozen=True)
class Originals:
    """What the losses need of the original images, computed once: images `(N, 3, H, W)`, embeddings `(N, D)` and `(N, E)` or None.

    alike: places of the targets whose patches an image's are compared with `(N, K)`; None: any.
    """

    images: Tensor
    clip: Tensor
    identity: Tensor | None
    alike: Tensor | None = None

    def __getitem__(self, index: Tensor) -> Originals:
        identity, alike = (None if of_all is None else of_all[index] for of_all in (self.identity, self.alike))
        return Originals(self.images[index], self.clip[index], identity, alike)


class DiffusionCLIPLoss:
    """w_clip·L_direction + w_id·L_id + w_l1·L1 + w_patches·(distance of patches to targets) + w_pairs·(pairs_loss of both encoders)
    + w_structure·structure_loss + w_strokes·(distance of strokes to targets).

    What has the weight 0 is not computed. pairs_loss is left out for a batch of one; without an identity encoder it is CLIP's alone.
    targets: `(N, 3, H, W)` in [-1, 1], needed where w_patches or w_strokes is not 0; patch_sizes, patch_regions: see `patch_distance`, of
    strokes as well; patch_alike: how many targets each image's patches are compared with, those most like it to CLIP; 0: a few of all.
    """

    def __init__(
        self,
        clip: Clip,
        identity: Identity | None,
        direction: Tensor,
        w_clip: float,
        w_l1: float,
        w_id: float,
        w_patches: float = 0.0,
        w_pairs: float = 0.0,
        w_structure: float = 0.0,
        w_strokes: float = 0.0,
        targets: Tensor | None = None,
        patch_sizes: int = 2,
        patch_regions: int = 1,
        patch_alike: int = 0,
    ) -> None:
        self.clip = clip
        self.identity = identity
        self.direction = direction
        self.targets, self.patch_alike = targets, patch_alike
        self.patches = {"sizes": patch_sizes, "regions": patch_regions}
        self.weights = {
            "clip": w_clip, "l1": w_l1, "identity": w_id, "patches": w_patches, "pairs": w_pairs, "structure": w_structure,
            "strokes": w_strokes,
        }  # fmt: skip

    @torch.no_grad()
    def originals(self, images: Tensor, batch: int = 32) -> Originals:
        """The original images `(N, 3, H, W)` in [-1, 1] with the embeddings that the losses compare to."""
        clip = torch.cat([self.clip.encode_image(part) for part in images.split(batch)])
        alike = None
        if self.patch_alike and (self.weights["patches"] or self.weights["strokes"]):
            assert self.targets is not None
            alike = most_alike(clip, torch.cat([self.clip.encode_image(part) for part in self.targets.split(batch)]), self.patch_alike)
        if self.identity is None or not (self.weights["identity"] or self.weights["pairs"]):
            return Originals(images, clip, None, alike)
        return Originals(images, clip, torch.cat([self.identity.embed(part) for part in images.split(batch)]), alike)

    def __call__(self, x: Tensor, originals: Originals, generator: torch.Generator | None = None) -> tuple[Tensor, dict[str, float]]:
        """x `(B, 3, H, W)`, the edited images with gradient → (loss `()`, its terms before weighting, for the curves).

        generator: of the patches' directions; needed with targets.
        """
        clip = self.clip.encode_image(x)
        identity = None if self.identity is None or originals.identity is None else self.identity.embed(x)
        terms = {"clip": direction_loss(clip - originals.clip, self.direction).mean()}
        if self.weights["l1"]:
            terms["l1"] = l1_loss(x, originals.images).mean()
        if self.weights["identity"] and identity is not None:
            terms["identity"] = (1.0 - (identity * originals.identity).sum(dim=-1)).mean()
        for name, distance in (("patches", patch_distance), ("strokes", stroke_distance)):
            if self.weights[name]:
                assert self.targets is not None and generator is not None
                targets = self.targets if originals.alike is None else self.targets[originals.alike.flatten()]
                terms[name] = distance(x, targets, generator, **self.patches)
        if self.weights["pairs"] and len(x) > 1:
            terms["pairs"] = pairs_loss(clip, originals.clip)
            if identity is not None:
                terms["pairs"] = terms["pairs"] + pairs_loss(identity, originals.identity)
        if self.weights["structure"]:
            terms["structure"] = structure_loss(x, originals.images).mean()
        loss = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return loss, {"loss": float(loss.detach()), **{name: float(term.detach()) for name, term in terms.items()}}

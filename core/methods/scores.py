"""The scores that stand under an edited picture, as far as the loaded models allow."""

from __future__ import annotations

from torch import Tensor

from core.metrics.edit import identity_score, s_dir
from core.metrics.image import psnr
from core.types import Context, ShiftlabError


def direction_of(reference: str, target: str, context: Context) -> Tensor | None:
    """ΔT `(D,)` between two prompts, or None where there is no CLIP or the prompts name no direction."""
    if context.clip is None:
        return None
    try:
        return context.clip.text_direction(reference, target)
    except ShiftlabError:  # one is empty, or this CLIP sees no difference between them
        return None


def edit_scores(x0: Tensor, x: Tensor, direction: Tensor | None, context: Context) -> list[dict[str, float]]:
    """One dict an image: s_dir, identity, perceptual, psnr of x against x0, each `(B, 3, H, W)` in [-1, 1].

    A score whose model is not loaded is left out.
    """
    columns = {"psnr": psnr(x, x0)}
    if direction is not None:
        columns["s_dir"] = s_dir(context.clip, x0, x, direction)
    if context.identity is not None:
        columns["identity"] = identity_score(context.identity, x0, x)
    if context.perceptual is not None:
        columns["perceptual"] = context.perceptual(x0, x).detach()
    return [{name: float(column[i]) for name, column in columns.items()} for i in range(len(x))]

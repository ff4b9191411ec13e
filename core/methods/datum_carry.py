"""Labelled pictures carried to the target that a text-to-image model learned from one image, so that their labels come along.

DATUM's pictures (Benigmim et al., CVPRW 2023) have no labels, and its segmenter must teach itself on them. Here the two walks of DDIB (Su
et al., ICLR 2023) are those of one model before and after it learned the target, each with its own prompt: up by DDIM inversion with the
model as it was, down with the personalised one. What is large stays where it was, as sky and road do, but its edges blur, and what is
small melts. So the walk's colours are laid along the edges of the labelled picture (`edged`).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from kornia.filters import guided_blur
from torch import Tensor

from core.methods.fields import prompt, setting
from core.methods.walks import asked, locked
from core.models.text_to_image import TextToImage
from core.process.sampling import generate, invert, last
from core.process.timesteps import paper_timesteps
from core.types import Context, Settings

LARGE = "road, sidewalk, building, wall, fence, vegetation, terrain, sky"  # Cityscapes' classes without a shape of their own
LEAST_SPREAD = 1e-3  # of a channel, below which a picture has one colour
REACH = 8  # a picture's side has so many radii of the guided filter
FLAT = 0.01  # its ε, a variance: what varies less is smoothed


class CarrySettings(Settings):
    """How labelled scenes are carried; the defaults are those of the embedded streets."""

    method: ClassVar[str] = "carry"

    scenes: int = setting(600, "Scenes", "Squares of labelled scenes, taken in turn.", ge=1, le=100_000, step=50)
    return_step: int = setting(
        950, "Return step of scenes", "How far into noise they go. Higher looks more like the target and keeps less.", ge=20, le=999,
        unit="t", step=1,
    )  # fmt: skip
    steps: int = setting(20, "Steps", "Network calls on the way up; one more on the way down.", ge=2, le=500, unit="steps", step=1)
    scene_prompt: str = prompt("a photo of an urban scene", "Prompt of scenes", "What they show, in words that the model knows.")
    contrast: float = setting(
        0.0,
        "Own contrast",
        "A scene keeps up to this share of its own contrast, in the carried colours, some more, some less: for fog, where near things do.",
        ge=0,
        le=1,
        step=0.05,
    )
    large: str = setting(
        LARGE, "Large classes", "All others are pasted into carried crops as well, in the carried colours.", max_length=1000, more=True
    )

    def large_classes(self) -> tuple[str, ...]:
        """The names, as written."""
        return tuple(name.strip() for name in self.large.split(",") if name.strip())


@torch.no_grad()
def carry(
    model: TextToImage, personalised: TextToImage, images: Tensor, target_prompt: str, settings: CarrySettings, context: Context
) -> Tensor:
    """images `(B, 3, S, S)` in [-1, 1] of the model's size → as many, carried, in [-1, 1]. Raises Stopped when asked to stop."""
    timesteps = paper_timesteps(settings.steps + 1, settings.return_step)
    with context.lock:
        z = model.to_latents(images)
        before, after = model.embed([settings.scene_prompt]), personalised.embed([target_prompt])

    def up(z: Tensor, t: Tensor) -> Tensor:
        return model.eps(z, t, before.expand(len(z), -1, -1))

    def down(z: Tensor, t: Tensor) -> Tensor:
        return personalised.eps(z, t, after.expand(len(z), -1, -1))

    z = last(asked(locked(invert(up, z, timesteps, model.schedule), context.lock), context))
    z = last(asked(locked(generate(down, z, timesteps, model.schedule), context.lock), context))
    with context.lock:
        return model.to_images(z).clamp(-1.0, 1.0)


def edged(carried: Tensor, x: Tensor) -> Tensor:
    """The colours of `carried` along the edges of x: in each window the picture that is linear in x and nearest to `carried`.

    Both `(B, 3, H, W)` in [-1, 1], as is the result. He et al., "Guided Image Filtering" (ECCV 2010), equations 19 to 21.
    """
    return guided_blur(x, carried, 2 * (min(x.shape[-2:]) // REACH) + 1, FLAT).clamp(-1.0, 1.0)


def recoloured(x: Tensor, like: Tensor) -> Tensor:
    """x with the mean and spread of each channel of `like`, picture by picture, both `(B, 3, H, W)` in [-1, 1]; clamped to that.

    Reinhard et al., "Color Transfer between Images" (2001), equations 10 and 11, in RGB.
    """
    (mean, spread), (to_mean, to_spread) = (
        (image.mean(dim=(-2, -1), keepdim=True), image.std(dim=(-2, -1), keepdim=True)) for image in (x, like)
    )
    return ((x - mean) / spread.clamp(min=LEAST_SPREAD) * to_spread + to_mean).clamp(-1.0, 1.0)

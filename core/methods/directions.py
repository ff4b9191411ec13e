"""The direction ΔT that a training towards prompts or target images follows, as DiffusionCLIP and Asyrp both take it."""

from __future__ import annotations

from torch import Tensor

from core.methods.asyrp_settings import AsyrpTune
from core.methods.diffusionclip_settings import DiffusionCLIPTune
from core.models.clip import IMAGENET_TEMPLATES, PLAIN_TEMPLATES, mix_directions
from core.types import Context, Settings, ShiftlabError

TEMPLATES = {"model": None, "imagenet": IMAGENET_TEMPLATES, "none": PLAIN_TEMPLATES}


def follows_images(settings: Settings) -> bool:
    """Whether a training towards prompts follows pictures of its target as well."""
    return any(getattr(settings, name, 0.0) > 0 for name in ("image_weight", "w_patches", "w_strokes"))


def target_direction(settings: DiffusionCLIPTune | AsyrpTune, images: Tensor, target_images: Tensor | None, context: Context) -> Tensor:
    """ΔT `(D,)`: from the prompts, from target images, or between them by `image_weight`. Raises ShiftlabError for what is missing."""
    if context.clip is None:
        raise ShiftlabError("Fine-tuning needs a CLIP model, and none is loaded. Load one under Models, or train the embedded one.")
    if settings.w_id and context.identity is None:
        raise ShiftlabError("The identity loss needs an identity encoder, and none is loaded. Load one, or set its weight to 0.")
    if not len(images):
        raise ShiftlabError("There are no images to learn from. Choose some on the Data tab.")
    if follows_images(settings) and (target_images is None or not len(target_images)):
        raise ShiftlabError("The edit is to follow target images, and there are none. Add some, or set their weights to 0.")
    clip = context.clip
    text = image = None
    if settings.image_weight < 1.0:
        text = clip.text_direction(settings.reference_prompt, settings.target_prompt, TEMPLATES[settings.templates])
    if settings.image_weight > 0.0:
        image = clip.image_direction(images, target_images)
    if text is None or image is None:
        return text if image is None else image
    return mix_directions(text, image, settings.image_weight)

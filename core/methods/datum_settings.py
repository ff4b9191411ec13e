"""The settings of DATUM's first two stages (Benigmim et al., CVPRW 2023, section 3): one target image learned, a target set generated.

The paper fine-tunes UNet and text encoder whole (rank 0, text encoder on, rate 5e-6, batch 1, 1,000 updates, of which 200 were used);
adapters are the default here, for they take a hundredth of the space and learn faster.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import field_validator

from core.methods.datum_token import DEFAULT_TOKEN
from core.methods.fields import prompt, setting
from core.types import Settings

TOKEN, CLASS = "{token}", "{class}"
Layers = Literal["attention", "cross-attention", "all"]


def must_hold(text: str, *places: str) -> str:
    """The template, or ValueError, of which pydantic makes its own, where a place to fill in is missing."""
    missing = [place for place in places if place not in text]
    if missing:
        raise ValueError(f"the prompt must hold {' and '.join(missing)}, such as “a photo of a {' '.join(places)}”")
    return text


class OneShotTune(Settings):
    """How a text-to-image model learns from a target image, or from a few: what DATUM and the text-to-image DomainStudio share."""

    token: str = setting(
        DEFAULT_TOKEN, "Token", "Stands for the target. One rare token without a meaning; a warning says where it is not.",
        min_length=1, max_length=40,
    )  # fmt: skip
    instance_prompt: str = prompt("a photo of a {token} urban scene", "Prompt", "Of the target image; {token} is filled in.")
    steps: int = setting(1000, "Updates", "Steps of the optimizer. Too many copy the image.", ge=1, le=100_000, step=1)
    checkpoint_every: int = setting(
        200, "Keep every", "Updates between two kept checkpoints, each with samples. Any of them can be used.", ge=1, le=100_000,
        unit="updates", step=1,
    )  # fmt: skip
    learning_rate: float = setting(1e-4, "Learning rate", "Of AdamW, constant. The paper takes 5e-6 for whole networks.", gt=0, le=1e-1)
    batch_size: int = setting(1, "Batch size", "Crops an update.", ge=1, le=256, step=1)
    rank: int = setting(16, "Rank of adapters", "Of LoRA. 0 trains every weight, as the paper does.", ge=0, le=256, step=1)
    short_side: int | None = setting(
        None, "Short side", "The picture is resized to it, then cropped to the model's size. Empty: twice that size (the paper).",
        ge=8, le=8192, unit="px", step=1,
    )  # fmt: skip
    text_encoder: bool = setting(False, "Text encoder learns too", "The paper lets it.", more=True)
    alpha: int | None = setting(
        None, "Alpha of adapters", "They count alpha/rank. Empty: as much as the rank.", ge=1, le=1024, step=1, more=True
    )
    layers: Layers = setting("attention", "Adapted layers", "Of the UNet: what attention projects, or every layer.", more=True)
    weight_decay: float = setting(0.01, "Weight decay", "Of AdamW.", ge=0, le=1, step=0.01, more=True)
    sample_steps: int = setting(25, "Steps of samples", "Network calls a sample.", ge=2, le=500, unit="steps", step=1, more=True)
    sample_guidance: float = setting(7.5, "Guidance of samples", "Pull towards the prompt. 1 means none.", ge=1, le=30, step=0.5, more=True)
    class_prompt: str = prompt("a photo of an urban scene", "Class prompt", "Of pictures that shall stay as the model drew them.")
    class_images: int = setting(200, "Class images", "Made by the model itself before it learns.", ge=1, le=10_000, step=1, more=True)
    gradient_checkpointing: bool = setting(False, "Gradient checkpointing", "Less memory for about a third more time.", more=True)

    @field_validator("instance_prompt")
    @classmethod
    def _names_the_token(cls, text: str) -> str:
        return must_hold(text, TOKEN)

    def keeps(self) -> bool:
        """Whether pictures of the class are needed."""
        return True

    def filled_prompt(self) -> str:
        """The target image's prompt with the token filled in."""
        return self.instance_prompt.replace(TOKEN, self.token)


class DatumTune(OneShotTune):
    """DATUM's first stage: DreamBooth (Ruiz et al., CVPR 2023) on one image. Without prior preservation, as the paper."""

    method: ClassVar[str] = "datum"
    images: ClassVar[int] = 1  # that it learns from

    prior_weight: float = setting(
        0.0, "Prior preservation", "Pull to what the model drew before, on pictures of the class. 0: none (the paper).", ge=0, le=100,
        step=0.1, more=True,
    )  # fmt: skip

    def keeps(self) -> bool:
        """Whether pictures of the class are needed."""
        return self.prior_weight > 0


class GenerateSettings(Settings):
    """DATUM's second stage: a target set out of class prompts."""

    method: ClassVar[str] = "datum_generate"

    template: str = prompt(
        "a photo of a {token} urban scene with a {class}",
        "Prompts",
        "Of each picture; {token} and {class} are filled in. The paper: “a photo of a {token} {class}”.",
    )
    steps: int = setting(50, "Steps", "Network calls a picture.", ge=2, le=500, unit="steps", step=1)
    guidance: float = setting(7.5, "Guidance", "Pull towards the prompt. 1 means none, and takes half the time.", ge=1, le=30, step=0.5)

    @field_validator("template")
    @classmethod
    def _names_the_class(cls, text: str) -> str:
        return must_hold(text, CLASS)

"""The settings of Asyrp, with the defaults of its paper and README (Kwon, Jeong and Uh, ICLR 2023, section 5 and appendix)."""

from __future__ import annotations

from typing import ClassVar, Literal

from core.methods.diffusionclip_settings import Grid
from core.methods.fields import prompt, setting
from core.types import Settings

LAST_TIMESTEP = 999
T_EDIT_HELP = "Above this timestep features are shifted. Empty: where the base's own pictures have taken shape."
T_BOOST_HELP = "Below this timestep fresh noise sharpens the picture. 0: never. Empty: measured on the base's own pictures."


class AsyrpEdit(Settings):
    """How an image is carried across with delta blocks that are already trained."""

    method: ClassVar[str] = "asyrp"

    reference_prompt: str = prompt("", "Reference prompt", "What the picture shows now. Empty: the edit's own prompt.")
    target_prompt: str = prompt("", "Target prompt", "What it shall become, for the score. Empty: the edit's own prompt.")
    strength: float = setting(
        1.0, "Strength", "Length of the shift: 0 reconstructs, 1 is as trained, below 0 is the opposite.", ge=-3, le=3, step=0.1
    )
    direction: Literal["own", "mean", "global"] = setting(
        "own", "Direction", "own: each picture's own shift. mean: the training pictures', by timestep. global: one for all timesteps."
    )
    t_edit: int | None = setting(None, "Edit down to", T_EDIT_HELP, ge=0, le=LAST_TIMESTEP, unit="t", more=True)
    t_boost: int | None = setting(None, "Quality boost below", T_BOOST_HELP, ge=0, le=LAST_TIMESTEP, unit="t", more=True)
    return_step: int = setting(
        LAST_TIMESTEP, "Return step", "How far back into noise; the paper goes all the way.", ge=1, le=LAST_TIMESTEP, unit="t", more=True
    )
    generation_steps: int = setting(
        50, "Generation steps", "Network calls back to the picture. Fewer than in training shift more each.", ge=2, le=200, unit="steps",
        step=1, more=True,
    )  # fmt: skip
    rescale: bool = setting(True, "Rescale to the steps", "Strength × training steps / generation steps.", more=True)
    strengths: list[float] = setting(
        list, "Strengths of several", "For several edits: each one's own factor, such as [1, -0.5]. Empty: 1/√k each.", more=True
    )
    grid: Grid = setting("lab", "Inversion grid", "lab: one inversion serves every return step. paper: a new one for each.", more=True)
    inversion_steps: int = setting(
        50, "Inversion steps", "Of the paper's grid; the lab's grid has its own.", ge=2, le=1000, unit="steps", step=1, more=True
    )
    any_base: bool = setting(
        False,
        "Use on another base",
        "Applies an edit to a base that it was not made for. The picture may come out as noise, and its scores then mean nothing.",
        more=True,
    )


class AsyrpTune(Settings):
    """How a delta block is trained from a reference prompt and a target."""

    method: ClassVar[str] = "asyrp"

    reference_prompt: str = prompt("a photo of a serious person", "Reference prompt", "What the pictures show now, in a few words.")
    target_prompt: str = prompt("a photo of a smiling person", "Target prompt", "What they shall become.")
    image_weight: float = setting(
        0.0, "Weight of target images", "Share of the direction that target images give; the prompts give the rest.", ge=0, le=1, step=0.05
    )
    images: int = setting(100, "Training images", "The first so many of the chosen pictures.", ge=1, le=1000, step=1)
    epochs: int = setting(5, "Epochs", "Passes over the training images.", ge=1, le=100, step=1)
    learning_rate: float = setting(0.5, "Learning rate", "Of plain gradient descent (SGD); the paper's is 0.5.", gt=0, le=10)
    w_clip: float = setting(1.0, "Weight of direction", "Pull towards the target.", gt=0, le=100)
    w_l1: float = setting(3.0, "Weight of L1", "Pull back to the original, times the similarity of the prompts.", ge=0, le=100)
    w_id: float = setting(0.0, "Weight of identity", "Pull back to the same face.", ge=0, le=100)
    t_edit: int | None = setting(None, "Edit down to", T_EDIT_HELP, ge=0, le=LAST_TIMESTEP, unit="t", more=True)
    t_boost: int | None = setting(None, "Quality boost below", T_BOOST_HELP, ge=0, le=LAST_TIMESTEP, unit="t", more=True)
    similarity: float | None = setting(
        None, "Similarity of the prompts", "Sets t_edit and the weight of L1. Empty: their cosine in CLIP.", ge=0, le=1, more=True
    )
    edit_threshold: float = setting(
        0.33, "Threshold of t_edit", "LPIPS, times the similarity, at which a predicted picture has lost its shape.", ge=0, le=2, step=0.01,
        more=True,
    )  # fmt: skip
    boost_threshold: float = setting(
        1.2, "Threshold of t_boost", "LPIPS at which a noised picture is unrecognisable.", ge=0, le=2, step=0.05, more=True
    )
    return_step: int = setting(
        LAST_TIMESTEP, "Return step", "How far back into noise; the paper goes all the way.", ge=50, le=LAST_TIMESTEP, unit="t", more=True
    )
    batch_size: int = setting(1, "Batch size", "Pictures an update.", ge=1, le=64, step=1, more=True)
    training_steps: int = setting(
        50, "Training steps", "Network calls of a whole generation while training.", ge=2, le=200, unit="steps", step=1, more=True
    )
    grid: Grid = setting("lab", "Inversion grid", "lab: the inversions serve the Edit tab as well. paper: its own grid.", more=True)
    inversion_steps: int = setting(
        50, "Inversion steps", "Of the paper's grid; the lab's grid has its own.", ge=2, le=1000, unit="steps", step=1, more=True
    )
    templates: Literal["model", "imagenet", "none"] = setting(
        "model", "Prompt templates", "Sentences that the prompts are set into: the CLIP model's own, ImageNet's 80, or none.", more=True
    )
    sample_every: int = setting(
        50, "Samples every", "Updates between two looks at the sample pictures.", ge=1, le=10_000, unit="updates", step=1, more=True
    )
    sample_steps: int = setting(
        50, "Generation steps of samples", "Network calls for each sample picture.", ge=2, le=200, unit="steps", step=1, more=True
    )

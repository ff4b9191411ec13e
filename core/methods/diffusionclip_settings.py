"""The settings of DiffusionCLIP, with the paper's defaults (Kim, Kwon and Ye, "DiffusionCLIP", CVPR 2022, section 4 and supplement)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import field_validator, model_validator

from core.methods.fields import attention_guidance, prompt, setting
from core.types import Settings

Grid = Literal["lab", "paper"]


class DiffusionCLIPEdit(Settings):
    """How an image is carried across with edits that are already trained."""

    method: ClassVar[str] = "diffusionclip"

    reference_prompt: str = prompt("", "Reference prompt", "What the picture shows now. Empty: the edit's own prompt.")
    target_prompt: str = prompt("", "Target prompt", "What it shall become, for the score. Empty: the edit's own prompt.")
    return_step: int = setting(
        501, "Return step", "How far back into noise. Higher changes more and keeps less.", ge=1, le=981, unit="t", step=20
    )
    strength: float = setting(1.0, "Strength", "Degree of change: 0 is the original model, 1 the fine-tuned one.", ge=0, le=1, step=0.05)
    generation_steps: int = setting(
        40, "Generation steps", "Network calls from the return step back to the picture.", ge=2, le=200, unit="steps", step=1, more=True
    )
    grid: Grid = setting("lab", "Inversion grid", "lab: one inversion serves every return step. paper: a new one for each.", more=True)
    inversion_steps: int = setting(
        40, "Inversion steps", "Of the paper's grid; the lab's grid has its own.", ge=2, le=1000, unit="steps", step=1, more=True
    )
    encoding: Literal["inversion", "noise"] = setting(
        "inversion", "Encoding", "inversion: deterministic. noise: adds random noise instead, which forgets details.", more=True
    )
    eta: float = setting(
        0.0, "Randomness η", "0: deterministic (DDIM). 1: fresh noise at every step (DDPM).", ge=0, le=1, step=0.05, more=True
    )
    attention_guidance: float = attention_guidance()
    n_iter: int = setting(
        0,
        "Passes into the source",
        "For strokes, or a picture unlike the source: how often the original model redraws it first. The paper takes 8 or more.",
        ge=0,
        le=50,
        unit="passes",
        step=1,
        more=True,
    )
    hybrid: dict[int, list[float]] = setting(
        dict,
        "Mixture by timestep",
        'For several edits: their ratios from a timestep upwards, such as {"401": [1, 0], "0": [1, 1]}. Empty: equal shares.',
        more=True,
    )
    any_base: bool = setting(
        False,
        "Use on another base",
        "Applies an edit to a base that it was not made for. The picture may come out as noise, and its scores then mean nothing.",
        more=True,
    )

    @field_validator("hybrid")
    @classmethod
    def _nothing_below_zero(cls, table: dict[int, list[float]]) -> dict[int, list[float]]:
        if any(threshold < 0 for threshold in table) or any(ratio < 0 for ratios in table.values() for ratio in ratios):
            raise ValueError("thresholds and ratios must be 0 or more")
        return table


class DiffusionCLIPTune(Settings):
    """How an edit is fine-tuned from a reference prompt and a target."""

    method: ClassVar[str] = "diffusionclip"

    reference_prompt: str = prompt("a photo of a person", "Reference prompt", "What the pictures show now, in a few words.")
    target_prompt: str = prompt("a pencil sketch of a person", "Target prompt", "What they shall become.")
    image_weight: float = setting(
        0.0, "Weight of target images", "Share of the direction that target images give; the prompts give the rest.", ge=0, le=1, step=0.05
    )
    return_step: int = setting(
        500, "Return step", "How far back into noise: about 300 for attributes, 600 for styles.", ge=50, le=981, unit="t", step=1
    )
    images: int = setting(50, "Training images", "The first so many of the chosen pictures.", ge=1, le=1000, step=1)
    epochs: int = setting(5, "Epochs", "Passes over the training images.", ge=1, le=100, step=1)
    learning_rate: float = setting(8e-6, "Learning rate", "Of Adam in the first epoch; the paper's is 8e-6.", gt=0, le=1e-2)
    w_clip: float = setting(3.0, "Weight of direction", "Pull towards the target.", gt=0, le=100)
    w_l1: float = setting(1.0, "Weight of L1", "Pull back to the original picture, pixel by pixel.", ge=0, le=100)
    w_id: float = setting(0.0, "Weight of identity", "Pull back to the same face. 0 for styles.", ge=0, le=100)
    w_patches: float = setting(
        0.0, "Weight of patches", "Pull of colours and lines to those of target images. 0: none.", ge=0, le=1000, more=True
    )
    w_strokes: float = setting(
        0.0, "Weight of strokes", "The same for what is finer than three pixels: hatching, outlines. 0: none.", ge=0, le=1000, more=True
    )
    patch_sizes: int = setting(
        2, "Sizes for patches", "So many sizes of the picture, each half of the one before, for patches and strokes.", ge=1, le=6,
        step=1, more=True,
    )  # fmt: skip
    patch_regions: int = setting(
        1, "Regions for patches", "Patches and strokes are compared within each of so many cells a side, for aligned faces. 1: anywhere.",
        ge=1, le=8, step=1, more=True,
    )  # fmt: skip
    patch_alike: int = setting(
        0, "Alike targets", "Patches and strokes are compared with the so many target images most like each picture, to CLIP. 0: with any.",
        ge=0, le=64, step=1, more=True,
    )  # fmt: skip
    w_pairs: float = setting(
        0.0, "Weight of differences", "Keeps what tells two pictures of a batch apart. Needs a batch of 2 or more.", ge=0, le=100, more=True
    )
    w_structure: float = setting(
        0.0,
        "Weight of structure",
        "Keeps the shapes of light and dark, such as a mouth's, while colours and textures are free. For styles. 0: none.",
        ge=0,
        le=100,
        more=True,
    )
    mode: Literal["chained", "saving"] = setting(
        "chained", "Gradient", "chained: through a whole generation at once. saving: step by step, with far less memory.", more=True
    )
    batch_size: int = setting(1, "Batch size", "Pictures an update.", ge=1, le=64, step=1, more=True)
    learning_rate_growth: float = setting(
        1.3, "Growth of the learning rate", "Factor after each epoch.", ge=0.5, le=2, step=0.05, more=True
    )
    training_steps: int = setting(
        6, "Training steps", "Network calls of a generation while training.", ge=2, le=50, unit="steps", step=1, more=True
    )
    grid: Grid = setting("lab", "Inversion grid", "lab: the inversions serve the Edit tab as well. paper: its own grid.", more=True)
    inversion_steps: int = setting(
        40, "Inversion steps", "Of the paper's grid; the lab's grid has its own.", ge=2, le=1000, unit="steps", step=1, more=True
    )
    templates: Literal["model", "imagenet", "none"] = setting(
        "model", "Prompt templates", "Sentences that the prompts are set into: the CLIP model's own, ImageNet's 80, or none.", more=True
    )
    gradient_checkpointing: bool = setting(False, "Gradient checkpointing", "Less memory for about a third more time.", more=True)
    sample_every: int = setting(
        50, "Samples every", "Updates between two looks at the sample pictures.", ge=1, le=10_000, unit="updates", step=1, more=True
    )
    sample_steps: int = setting(
        40, "Generation steps of samples", "Network calls for each sample picture.", ge=2, le=200, unit="steps", step=1, more=True
    )
    attention_guidance: float = attention_guidance("Attention guidance of samples", "Also where Edit begins with this edit.")

    def least_batch(self) -> int:
        """See `Settings.least_batch`."""
        return 2 if self.w_pairs else 1

    @model_validator(mode="after")
    def _two_to_compare(self) -> DiffusionCLIPTune:
        if self.batch_size < self.least_batch():
            raise ValueError("the weight of differences compares pictures of a batch: set the batch size to 2 or more, or the weight to 0")
        return self

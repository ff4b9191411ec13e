"""The settings of DiffusionCLIP, with the paper's defaults (Kim, Kwon and Ye, "DiffusionCLIP", CVPR 2022, section 4 and supplement)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from core.types import Settings

PROMPT_LENGTH = 300  # characters; a CLIP reads 77 tokens and ignores the rest
Grid = Literal["lab", "paper"]


def _field(default: Any, title: str, description: str, *, unit: str = "", step: float = 0, more: bool = False, **limits: Any) -> Any:
    """A field with its title, help line, bounds, unit and the step of its slider; `more` puts it under the closed heading."""
    extra = {key: value for key, value in (("unit", unit), ("step", step), ("more", more)) if value}
    how = {"default_factory": default} if callable(default) else {"default": default}
    return Field(**how, title=title, description=description, json_schema_extra=extra, **limits)


def _prompt(default: str, title: str, description: str) -> Any:
    return _field(default, title, description, max_length=PROMPT_LENGTH)


class DiffusionCLIPEdit(Settings):
    """How an image is carried across with edits that are already trained."""

    method: ClassVar[str] = "diffusionclip"

    reference_prompt: str = _prompt("", "Reference prompt", "What the picture shows now. Empty: the edit's own prompt.")
    target_prompt: str = _prompt("", "Target prompt", "What it shall become, for the score. Empty: the edit's own prompt.")
    return_step: int = _field(
        501, "Return step", "How far back into noise. Higher changes more and keeps less.", ge=1, le=981, unit="t", step=20
    )
    strength: float = _field(1.0, "Strength", "Degree of change: 0 is the original model, 1 the fine-tuned one.", ge=0, le=1, step=0.05)
    generation_steps: int = _field(
        40, "Generation steps", "Network calls from the return step back to the picture.", ge=2, le=200, unit="steps", step=1, more=True
    )
    grid: Grid = _field("lab", "Inversion grid", "lab: one inversion serves every return step. paper: a new one for each.", more=True)
    inversion_steps: int = _field(
        40, "Inversion steps", "Of the paper's grid; the lab's grid has its own.", ge=2, le=1000, unit="steps", step=1, more=True
    )
    encoding: Literal["inversion", "noise"] = _field(
        "inversion", "Encoding", "inversion: deterministic. noise: adds random noise instead, which forgets details.", more=True
    )
    eta: float = _field(
        0.0, "Randomness η", "0: deterministic (DDIM). 1: fresh noise at every step (DDPM).", ge=0, le=1, step=0.05, more=True
    )
    n_iter: int = _field(
        0,
        "Passes into the source",
        "For strokes, or a picture unlike the source: how often the original model redraws it first. The paper takes 8 or more.",
        ge=0,
        le=50,
        unit="passes",
        step=1,
        more=True,
    )
    hybrid: dict[int, list[float]] = _field(
        dict,
        "Mixture by timestep",
        'For several edits: their ratios from a timestep upwards, such as {"401": [1, 0], "0": [1, 1]}. Empty: equal shares.',
        more=True,
    )
    any_base: bool = _field(False, "Use on another base", "Applies an edit although it was made for another base.", more=True)

    @field_validator("hybrid")
    @classmethod
    def _nothing_below_zero(cls, table: dict[int, list[float]]) -> dict[int, list[float]]:
        if any(threshold < 0 for threshold in table) or any(ratio < 0 for ratios in table.values() for ratio in ratios):
            raise ValueError("thresholds and ratios must be 0 or more")
        return table


class DiffusionCLIPTune(Settings):
    """How an edit is fine-tuned from a reference prompt and a target."""

    method: ClassVar[str] = "diffusionclip"

    reference_prompt: str = _prompt("a photo of a person", "Reference prompt", "What the pictures show now, in a few words.")
    target_prompt: str = _prompt("a pencil sketch of a person", "Target prompt", "What they shall become.")
    image_weight: float = _field(
        0.0, "Weight of target images", "Share of the direction that target images give; the prompts give the rest.", ge=0, le=1, step=0.05
    )
    return_step: int = _field(
        500, "Return step", "How far back into noise: about 300 for attributes, 600 for styles.", ge=50, le=981, unit="t", step=1
    )
    images: int = _field(50, "Training images", "The first so many of the chosen pictures.", ge=1, le=1000, step=1)
    epochs: int = _field(5, "Epochs", "Passes over the training images.", ge=1, le=100, step=1)
    learning_rate: float = _field(8e-6, "Learning rate", "Of Adam in the first epoch; the paper's is 8e-6.", gt=0, le=1e-2)
    w_clip: float = _field(3.0, "Weight of direction", "Pull towards the target.", gt=0, le=100)
    w_l1: float = _field(1.0, "Weight of L1", "Pull back to the original picture, pixel by pixel.", ge=0, le=100)
    w_id: float = _field(0.0, "Weight of identity", "Pull back to the same face. 0 for styles.", ge=0, le=100)
    mode: Literal["chained", "saving"] = _field(
        "chained", "Gradient", "chained: through a whole generation at once. saving: step by step, with far less memory.", more=True
    )
    batch_size: int = _field(1, "Batch size", "Pictures an update.", ge=1, le=64, step=1, more=True)
    learning_rate_growth: float = _field(1.3, "Growth of the learning rate", "Factor after each epoch.", ge=0.5, le=2, step=0.05, more=True)
    training_steps: int = _field(
        6, "Training steps", "Network calls of a generation while training.", ge=2, le=50, unit="steps", step=1, more=True
    )
    grid: Grid = _field("lab", "Inversion grid", "lab: the inversions serve the Edit tab as well. paper: its own grid.", more=True)
    inversion_steps: int = _field(
        40, "Inversion steps", "Of the paper's grid; the lab's grid has its own.", ge=2, le=1000, unit="steps", step=1, more=True
    )
    templates: Literal["model", "imagenet", "none"] = _field(
        "model", "Prompt templates", "Sentences that the prompts are set into: the CLIP model's own, ImageNet's 80, or none.", more=True
    )
    gradient_checkpointing: bool = _field(False, "Gradient checkpointing", "Less memory for about a third more time.", more=True)
    sample_every: int = _field(
        50, "Samples every", "Updates between two looks at the sample pictures.", ge=1, le=10_000, unit="updates", step=1, more=True
    )
    sample_steps: int = _field(
        40, "Generation steps of samples", "Network calls for each sample picture.", ge=2, le=200, unit="steps", step=1, more=True
    )

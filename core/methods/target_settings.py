"""The settings that SDFT and DomainStudio share: how a base is fine-tuned on a set of target images."""

from __future__ import annotations

from core.methods.fields import setting
from core.types import Settings


class TargetTune(Settings):
    """A subclass names its method and adds what its losses need."""

    images: int = setting(1000, "Target images", "The first so many of the target set.", ge=1, le=100_000, step=1)
    steps: int = setting(1000, "Updates", "Steps of the optimizer. The longer, the closer to the target set.", ge=1, le=200_000, step=1)
    batch_size: int = setting(8, "Batch size", "Pictures an update.", ge=1, le=256, step=1)
    learning_rate: float = setting(2e-5, "Learning rate", "Of AdamW, without weight decay.", gt=0, le=1e-2)
    flip: bool = setting(True, "Mirror pictures", "Half of them, at random. Off where left and right differ.", more=True)
    rank: int = setting(
        0, "Rank of adapters", "0 trains every weight. Above: low-rank adapters (LoRA), with less memory.", ge=0, le=256, step=1, more=True
    )
    ema: float = setting(
        0.9999, "Average", "Decay of the weights' moving average, which is kept. Shorter in the first updates.", ge=0, lt=1, more=True
    )
    gradient_checkpointing: bool = setting(False, "Gradient checkpointing", "Less memory for about a third more time.", more=True)
    sample_every: int = setting(
        100, "Samples every", "Updates between two looks at free samples.", ge=1, le=10_000, unit="updates", step=1, more=True
    )
    sample_steps: int = setting(
        40, "Generation steps of samples", "Network calls for each free sample.", ge=2, le=200, unit="steps", step=1, more=True
    )

"""How a segmenter is trained and adapted: DAFormer's recipe (Hoyer et al., CVPR 2022), which DATUM uses, in its size and in a small one.

The defaults are those for the embedded streets at night, whose pictures are 64 pixels high and whose network starts from nothing; PAPER is
the published recipe: pictures 512 pixels high, a MiT backbone from a folder, 40,000 updates, each arm from the same first weights.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple

from core.methods.fields import setting
from core.models.segformer import SMALL
from core.types import Settings


class SegmentSettings(Settings):
    """One training for all arms: supervised ones (source, target) take `iterations` updates, self-training ones `adapt_iterations`."""

    method: ClassVar[str] = "segment"

    model: str = setting(
        SMALL, "Network", "small: 1.2 M parameters, untrained. Or a folder with a MiT backbone or a SegFormer.", min_length=1
    )
    height: int = setting(64, "Height", "All pictures are brought to it; their width follows.", unit="px", ge=16, le=1024, step=16)
    crop: int = setting(64, "Crop", "Side of the squares that it learns from.", unit="px", ge=16, le=1024, step=16)
    iterations: int = setting(2000, "Updates", "Of the supervised arms: source only, and the oracle.", ge=1, le=400_000, step=100)
    adapt_iterations: int = setting(400, "Updates of adaptation", "Of the self-training arms.", ge=1, le=400_000, step=100)
    start: Literal["source", "own"] = setting(
        "source", "Adaptation starts from", "source: the source-only segmenter of the seed. own: the network's first weights (the paper)."
    )
    seeds: int = setting(1, "Seeds", "Segmenters of each kind, which differ in first weights and order.", ge=1, le=20, step=1)
    measure_every: int = setting(200, "Measure every", "Updates between two measurements of mIoU, and two saved states.", ge=1, step=50)
    batch_size: int = setting(16, "Batch size", "Crops an update.", ge=1, le=256, step=1, more=True)
    learning_rate: float = setting(2e-3, "Learning rate", "Of AdamW, for the backbone, of supervised arms.", gt=0, le=1, more=True)
    adapt_rate: float = setting(1e-3, "Learning rate of adaptation", "The same for self-training arms.", gt=0, le=1, more=True)
    head_factor: float = setting(1.0, "Head", "How much faster the head learns.", unit="×", gt=0, le=100, more=True)
    warm_up: int = setting(100, "Warm-up", "Updates until the full rate is reached, which falls to 0.", ge=0, le=10_000, more=True)
    weight_decay: float = setting(0.01, "Weight decay", "Of AdamW.", ge=0, le=1, more=True)
    average: float = setting(0.99, "Average", "Most that the teacher keeps of itself in an update.", ge=0, lt=1, more=True)
    carried_teaches: bool = setting(
        True,
        "Carried scenes and self-training",
        "The arm of carried scenes teaches itself on the one image as well: at night it gains by it, in fog it loses.",
        more=True,
    )
    confidence: float = setting(
        0.968, "Confidence", "Probability from which a pixel counts as sure; the share of sure ones weighs a batch.", ge=0, le=1, more=True
    )
    rare_temperature: float = setting(
        0.01, "Rare classes", "Temperature T: pictures of a class of frequency f are drawn as softmax((1 − f) / T). 0: all alike.",
        ge=0, le=10, more=True,
    )  # fmt: skip
    rare_share: float = setting(
        1.1, "A rare class is seen from", "Share of a crop's area that it has at least in a picture drawn for it.", unit="%", gt=0, le=50,
        more=True,
    )  # fmt: skip
    source_jitter: float = setting(
        0.5, "Colour jitter of labelled crops", "Brightness, contrast, saturation, and a fifth of it hue, as SegFormer's own training has. "
        "0: none, as DAFormer.", ge=0, le=1, more=True,
    )  # fmt: skip
    jitter: float = setting(0.2, "Colour jitter", "Of mixed pictures: brightness, contrast, saturation and hue.", ge=0, le=0.5, more=True)
    blur: float = setting(0.6, "Blur", "Largest σ of the blur of mixed pictures. 0: none.", unit="px", ge=0, le=10, more=True)
    seed: int = setting(0, "First seed", "The others count on.", ge=0, step=1, more=True)


OF_ADAPTATION = {  # of which source only knows nothing
    "adapt_iterations", "adapt_rate", "start", "seeds", "carried_teaches", "confidence", "jitter", "blur",
}  # fmt: skip
PAPER: dict[str, Any] = {
    "height": 512, "crop": 512, "iterations": 40_000, "adapt_iterations": 40_000, "start": "own", "seeds": 3, "measure_every": 4000,
    "batch_size": 2, "learning_rate": 6e-5, "adapt_rate": 6e-5, "head_factor": 10.0, "warm_up": 1500, "average": 0.999,
    "rare_share": 100 * 3000 / 512**2,
    "source_jitter": 0.0, "blur": 1.15,
}  # fmt: skip


class Preset(NamedTuple):
    """What it changes of the defaults: of the training, and of the scenes that are carried for it."""

    segment: dict[str, Any]
    carry: dict[str, Any]


FOG = Preset({"adapt_iterations": 1200, "carried_teaches": False}, {"scenes": 1200, "contrast": 0.5})
PRESETS = {"night": Preset({}, {}), "fog": FOG, "paper": Preset(PAPER, {})}

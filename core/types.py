"""The few types that everything passes through. They stand on the ground floor and know no method, no file and no page.

Images are float32 tensors `(B, 3, H, W)` in [-1, 1] everywhere below `core/data`, which is where bytes become such tensors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor


class ShiftlabError(Exception):
    """A sentence for the person at the page or the command line: what is wrong, and what to do. Never shown as a traceback."""


class Settings(BaseModel):
    """Base of every method's settings: frozen, strict about names, each field with bounds, unit and a help line.

    A field is declared as `Field(default, ge=, le=, title="Return step", description="one help line",
    json_schema_extra={"unit": "t", "step": 20, "more": True})`; `more` puts it under the page's closed heading.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    method: ClassVar[str] = ""

    def least_batch(self) -> int:
        """Pictures an update below which something of the method is lost; less is never taken where memory runs out."""
        return 1


class EditCard(BaseModel):
    """What stands in an edit's safetensors header: where it comes from, and what it was measured to do."""

    model_config = ConfigDict(extra="forbid")
    name: str
    method: str
    base_fingerprint: str
    network: str = Field("base", description="base, or text_to_image: which kind of model the fingerprint is of")
    reference_prompt: str = ""
    target_prompt: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    metrics: dict[str, float] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    weights: str = Field(
        "full",
        description="full: a whole state dict; half: the difference to the base in float16; eight_bit: in int8; "
        "own: of a network of the method's own, such as a classifier, and not of the base's",
    )
    note: str = ""


@dataclass(frozen=True)
class Edit:
    """Weights that a training produced, with their card.

    `weights` is a full state dict of the base's network; where `card.weights` is "own", of a network that only the method knows.
    """

    card: EditCard
    weights: dict[str, Tensor]


@dataclass(frozen=True)
class Trajectory:
    """The inverted latents of images on one base and one timestep grid.

    latents: `(S, B, 3, H, W)`, latents[k] stands at timesteps[k]; timesteps ascend and begin at 0, where the latent is the image.
    """

    timesteps: tuple[int, ...]
    latents: Tensor

    def at(self, t: int) -> Tensor:
        """The stored latent `(B, 3, H, W)` at timestep t, which must be on the grid."""
        return self.latents[self.timesteps.index(t)]


@dataclass(frozen=True)
class EditRequest:
    """What goes into `method.edit`. `edits` holds none, one, or several for a hybrid; `seed` is the first item's, item i has seed + i."""

    images: Tensor  # (B, 3, H, W) in [-1, 1]
    settings: Settings
    edits: tuple[Edit, ...] = ()
    seed: int = 0
    painted: Tensor | None = None  # (B, 3, H, W): the images with strokes over them
    mask: Tensor | None = None  # (B, 1, H, W) in [0, 1]: 1 where the image may change, 0 where it is kept

    def part(self, begin: int, end: int) -> EditRequest:
        """Items begin … end − 1 as a request of their own, each with the seed that it has here."""
        painted, mask = (None if given is None else given[begin:end] for given in (self.painted, self.mask))
        return replace(self, images=self.images[begin:end], seed=self.seed + begin, painted=painted, mask=mask)


@dataclass(frozen=True)
class TrainRequest:
    """What goes into `method.train`: images to learn from, the name of the edit to be, target images where a direction needs them."""

    images: Tensor  # (N, 3, H, W) in [-1, 1]
    settings: Settings
    name: str
    seed: int = 0
    target_images: Tensor | None = None  # (M, 3, H, W) in [-1, 1]
    samples: Tensor | None = None  # (K, 3, H, W): the same few images, edited anew as the training goes on


@dataclass(frozen=True)
class StepEvent:
    """One step of anything long: inversion, generation, training. `images` only where there is something to look at."""

    phase: str  # "invert", "generate", "encode", "train", "sample"
    step: int  # 1 … total
    total: int
    numbers: dict[str, float] = field(default_factory=dict)
    images: Tensor | None = None
    note: str = ""


@dataclass(frozen=True)
class EditResult:
    """The last thing that `method.edit` yields. scores: one dict an image, by metric name."""

    images: Tensor  # (B, 3, H, W) in [-1, 1]
    scores: list[dict[str, float]]
    timing: dict[str, float]  # seconds by phase, and "cached": 1.0 where no inversion was needed
    note: str = ""
    models: dict[str, str] = field(default_factory=dict)  # "name fingerprint" of base, clip and identity


@dataclass(frozen=True)
class Work:
    """What a training will ask of the network, so that its time and memory can be told before it starts.

    A call is one image at one timestep.
    inference: calls without gradient; learning: calls with a backward pass; held: calls whose activations stand in memory at once.
    updates: steps of the optimizer; embedded: images that CLIP looks at with a backward pass, over all updates.
    """

    inference: int
    learning: int
    held: int
    gradient_checkpointing: bool = False
    updates: int = 0
    embedded: int = 0


class EpsModel(Protocol):
    """A noise predictor: `eps(x, t)` with x `(B, 3, H, W)` and t a long tensor `(B,)` returns ε `(B, 3, H, W)`."""

    def __call__(self, x: Tensor, t: Tensor) -> Tensor: ...


class Checkpointer(Protocol):
    """Keeps and gives back the state of a training; the job that runs it says where."""

    def load(self) -> dict[str, Any] | None: ...

    def save(self, step: int, state: dict[str, Any]) -> None: ...


class NoCheckpoints:
    """The Checkpointer of a training that is not a job: keeps nothing."""

    def load(self) -> dict[str, Any] | None:
        return None

    def save(self, step: int, state: dict[str, Any]) -> None:
        return None


class Stopped(Exception):
    """Raised by a method when `should_stop()` said so; its state is saved by then."""


def _no_text_to_image() -> Any:
    raise ShiftlabError("No text-to-image model is here. Choose one on the Models tab, or name its folder.")


@dataclass
class Context:
    """What a method may use. It never sees the page or a thread.

    base, clip, identity, perceptual, store: see core/models, core/metrics and core/data; Any, because this file stands below them.
    text_to_image: gives the text-to-image model (core/models/text_to_image.py), which is loaded when it is first asked for.
    lock: held for one step at a time (`with context.lock:`), so that a preview waits at most one training step.
    """

    base: Any
    clip: Any = None
    identity: Any = None
    perceptual: Any = None  # images, images -> (B,) distances: LPIPS, with the extractor's name in `.name` and `.full_name`
    store: Any = None  # TrajectoryStore
    measured: Any = None  # MeasuredStore
    text_to_image: Callable[[], Any] = _no_text_to_image
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32  # of autocast; float32 means none
    should_stop: Callable[[], bool] = lambda: False
    save_now: Callable[[], bool] = lambda: False  # True once after "Save now" was pressed
    checkpoints: Checkpointer = field(default_factory=NoCheckpoints)
    lock: AbstractContextManager[Any] = field(default_factory=threading.RLock)


class Method(Protocol):
    """One file a paper in core/methods.

    A method need not do both: SDEdit trains nothing, and what SDFT trains serves other methods. Where a settings class is None, nobody
    calls the function that would take it.
    """

    edit_settings: type[Settings] | None  # what EditRequest.settings is; None: it edits nothing
    train_settings: type[Settings] | None  # what TrainRequest.settings is; None: it trains nothing

    def edit(self, request: EditRequest, context: Context) -> Iterator[StepEvent | EditResult]: ...

    def train(self, request: TrainRequest, context: Context) -> Iterator[StepEvent | Edit]: ...

    def work(self, settings: Settings, images: int, samples: int) -> Work: ...

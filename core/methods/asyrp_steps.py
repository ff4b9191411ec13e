"""Where Asyrp edits and where it boosts: t_edit and t_boost out of a curve of perceptual distances (Kwon et al., ICLR 2023, section 3.4).

The curve is measured on pictures that the loaded base draws itself, from fixed seeds: on the way down from noise, how far the predicted
image x̂0_t, and the latent x_t, are from the picture at the end. So it is a property of the base alone and the same in every session.

t_edit: the smallest t with LPIPS(x0, x̂0_t) ≥ 0.33·cos(E_T(reference), E_T(target)); t_boost: the smallest with LPIPS(x0, x_t) ≥ 1.2.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from core.methods.walks import locked, stop_if_asked
from core.metrics.perceptual import Lpips
from core.models.base import Base
from core.process.ddim import predict_x0
from core.process.noise import ItemNoise
from core.process.sampling import generate
from core.process.timesteps import generation_pairs, paper_timesteps
from core.types import Context, EpsModel, ShiftlabError, StepEvent

PICTURES = 8  # drawn with seeds 0 … 7
STEPS = 50
EDIT_THRESHOLD, BOOST_THRESHOLD = 0.33, 1.2  # LPIPS (AlexNet)
LPIPS_OF_NOISE = 1.35  # about where LPIPS between a picture and pure noise ends up: how another extractor's scale is brought to LPIPS's
KEPT = 8  # curves


@dataclass(frozen=True)
class PerceptualCurve:
    """Mean distances from the picture at the end, in units of LPIPS, at ascending timesteps.

    predicted: of x̂0_t; noised: of x_t. extractor: whose features were compared. scale: what its distances were multiplied by.
    """

    timesteps: tuple[int, ...]
    predicted: tuple[float, ...]
    noised: tuple[float, ...]
    extractor: str
    scale: float = 1.0

    def t_edit(self, similarity: float, threshold: float = EDIT_THRESHOLD) -> int:
        """similarity: the cosine of the two prompts. A curve that never gets so far leaves only the last timestep to edit."""
        return _first(self.timesteps, self.predicted, threshold * similarity, self.timesteps[-1])

    def t_boost(self, threshold: float = BOOST_THRESHOLD) -> int:
        """0, for no boost, where the curve never gets so far."""
        return _first(self.timesteps, self.noised, threshold, 0)


class Curves:
    """The curves of the bases used last, kept on disk where the context has a store. Safe to use from several threads."""

    def __init__(self) -> None:
        self._curves: OrderedDict[tuple[str, str], PerceptualCurve] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, context: Context) -> Generator[StepEvent, None, PerceptualCurve]:
        """Yields "measure" events where the curve is not known yet, and returns it. Raises ShiftlabError without a perceptual distance."""
        if context.perceptual is None:
            raise ShiftlabError("Nothing is loaded that t_edit and t_boost could be measured with. Set both, or load an identity encoder.")
        key = (context.base.fingerprint, context.perceptual.full_name)
        with self._lock:
            known = self._curves.get(key)
        if known is not None:
            return known
        curve = _kept(key, context)
        if curve is None:
            curve = yield from measure_curve(context)
            if context.measured is not None:
                context.measured.put(_name(key), asdict(curve))
        with self._lock:
            self._curves[key] = curve
            while len(self._curves) > KEPT:
                self._curves.popitem(last=False)
        return curve


def _name(key: tuple[str, str]) -> str:
    """Everything that a curve depends on."""
    return f"perceptual curve: base {key[0]}, {key[1]}, {PICTURES} pictures in {STEPS} steps"


def _kept(key: tuple[str, str], context: Context) -> PerceptualCurve | None:
    """The curve that an earlier session measured."""
    found = context.measured.get(_name(key)) if context.measured is not None else None
    return PerceptualCurve(**{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}) if found else None


@torch.no_grad()
def measure_curve(context: Context) -> Generator[StepEvent, None, PerceptualCurve]:
    """Draws pictures with the base and compares what led to them. Yields "measure" events."""
    base: Base = context.base
    timesteps = paper_timesteps(STEPS, base.schedule.num_steps - 1)
    walked = _Watched(base.eps)
    x = ItemNoise(range(PICTURES), base.device).normal((base.unet.config.in_channels, base.image_size, base.image_size))
    for step, lower in locked(generate(walked, x, timesteps, base.schedule, clip_x0=True), context.lock):
        x = lower
        yield StepEvent("measure", step, STEPS)
        stop_if_asked(context)
    predicted, noised = [], []
    for (t, _), latent, eps in zip(generation_pairs(timesteps), walked.latents, walked.predictions, strict=True):
        with context.lock:
            x0 = predict_x0(latent.to(x.device), eps.to(x.device), base.schedule.alpha_bar_at(t)).clamp(-1.0, 1.0)
            predicted.append(float(context.perceptual(x, x0).mean()))
            noised.append(float(context.perceptual(x, latent.to(x.device)).mean()))
    scale = 1.0 if isinstance(context.perceptual, Lpips) else LPIPS_OF_NOISE / max(noised[0], torch.finfo(torch.float32).tiny)
    rising = [tuple(scale * value for value in reversed(values)) for values in (predicted, noised)]
    return PerceptualCurve(tuple(timesteps), rising[0], rising[1], context.perceptual.name, scale)


def prompt_similarity(reference: str, target: str, context: Context) -> float:
    """cos(E_T(reference), E_T(target)) of the bare prompts, and 0 where it is below: a weight and a threshold cannot be negative."""
    if context.clip is None:
        raise ShiftlabError("How alike the prompts are is CLIP's to say, and none is loaded. Load one, or set t_edit yourself.")
    embeddings = context.clip.encode_text([reference.strip(), target.strip()])
    return max(0.0, float(embeddings[0] @ embeddings[1]))


class _Watched:
    """A noise predictor that remembers, in the CPU's memory, what it was asked and what it said."""

    def __init__(self, eps_model: EpsModel) -> None:
        self._eps_model = eps_model
        self.latents: list[Tensor] = []
        self.predictions: list[Tensor] = []

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        eps = self._eps_model(x, t)
        self.latents.append(x.cpu())
        self.predictions.append(eps.cpu())
        return eps


def _first(timesteps: Sequence[int], values: Sequence[float], threshold: float, otherwise: int) -> int:
    """The smallest timestep whose value reaches the threshold."""
    return next((t for t, value in zip(timesteps, values, strict=True) if value >= threshold), otherwise)

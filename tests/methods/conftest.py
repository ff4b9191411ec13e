"""Tiny random models for the methods, loaded once, and a memory in place of a run folder."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from core.methods.datum_personalise import personalise
from core.methods.datum_settings import DatumTune
from core.metrics.perceptual import perceptual_of_identity
from core.models.base import load_base
from core.models.clip import load_clip
from core.models.identity import load_identity
from core.models.text_to_image import TextToImage, load_text_to_image
from core.types import Context, Edit, EditCard, StepEvent
from tests.tiny import IMAGE_SIZE, write_models
from tests.tiny_text_to_image import write_text_to_image


class Memory:
    """A Checkpointer that keeps the last state as a run folder would: copied, so that nothing trains on in it."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] | None = None
        self.steps: list[int] = []

    def load(self) -> dict[str, Any] | None:
        return copy.deepcopy(self.kept)

    def save(self, step: int, state: dict[str, Any]) -> None:
        self.steps.append(step)
        self.kept = copy.deepcopy(state)


def updates(events: list[StepEvent]) -> list[StepEvent]:
    """Those of the training itself."""
    return [event for event in events if event.phase == "train"]


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> dict[str, Any]:
    folder = write_models(tmp_path_factory.mktemp("checkpoints"))
    identity = load_identity(folder / "identity")
    return {
        "base": load_base(folder / "base", dtype=torch.float32),
        "clip": load_clip(folder / "clip"),
        "identity": identity,
        "perceptual": perceptual_of_identity(identity),
    }


@pytest.fixture
def context(models) -> Context:
    return Context(**models, checkpoints=Memory())


@pytest.fixture(scope="session")
def pipeline_folder(tmp_path_factory) -> Path:
    """A tiny Stable Diffusion on disk."""
    return write_text_to_image(tmp_path_factory.mktemp("pipelines") / "tiny")


@pytest.fixture(scope="session")
def text_to_image(pipeline_folder) -> TextToImage:
    return load_text_to_image(pipeline_folder, dtype=torch.float32)


@pytest.fixture
def prompted(text_to_image) -> Context:
    """A context with a text-to-image model and nothing else."""
    return Context(None, text_to_image=lambda: text_to_image, checkpoints=Memory())


@pytest.fixture(scope="session")
def shot() -> torch.Tensor:
    """A target image, wider than high and larger than the tiny model's crops."""
    return torch.rand(3, 20, 40, generator=torch.Generator().manual_seed(5)) * 2 - 1


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(5)) * 2 - 1


SHORT = (2, 5)  # pictures and steps


def short_curve(monkeypatch) -> None:
    """Asyrp's curve of perceptual distances from fewer pictures in fewer steps."""
    monkeypatch.setattr("core.methods.asyrp_steps.PICTURES", SHORT[0])
    monkeypatch.setattr("core.methods.asyrp_steps.STEPS", SHORT[1])


def random_edit(base, seed: int, name: str = "sketch", fingerprint: str | None = None) -> Edit:
    """The base with noise on its weights: an edit that visibly does something."""
    generator = torch.Generator().manual_seed(seed)
    weights = {key: value + 0.02 * torch.randn(value.shape, generator=generator) for key, value in base.state_dict().items()}
    prompts = {"reference_prompt": "a photo of a person", "target_prompt": "a pencil sketch of a person"}
    return Edit(EditCard(name=name, method="diffusionclip", base_fingerprint=fingerprint or base.fingerprint, **prompts), weights)


LESSON = {"steps": 4, "checkpoint_every": 2, "sample_steps": 2, "learning_rate": 1e-2, "rank": 2, "class_images": 3}


def learned(context: Context, shot: torch.Tensor, keep=None, **settings) -> tuple[list[StepEvent], Edit]:
    """DATUM's personalisation: (its events, the edit)."""
    *events, edit = personalise(shot, DatumTune(**{**LESSON, **settings}), "night", 7, context, keep)
    return events, edit

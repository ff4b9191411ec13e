"""Tiny random models, loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.metrics.perceptual import perceptual_of_identity
from core.models.base import load_base
from core.models.clip import load_clip
from core.models.identity import load_identity
from core.types import Context
from tests.tiny import write_models


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="session")
def context(checkpoints: Path) -> Context:
    identity = load_identity(checkpoints / "identity")
    return Context(
        base=load_base(checkpoints / "base", dtype=torch.float32),
        clip=load_clip(checkpoints / "clip"),
        identity=identity,
        perceptual=perceptual_of_identity(identity),
    )

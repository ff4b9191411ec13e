"""The estimate: calls counted by the method, times one probe of the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.jobs.estimate import BYTES_A_PARAMETER, Probe, estimate, measure
from core.jobs.lock import TicketLock
from core.methods.diffusionclip_settings import DiffusionCLIPTune
from core.methods.diffusionclip_work import training_work
from core.models.base import load_base
from core.types import Work
from tests.tiny import write_base

PROBE = Probe(inference_s=0.1, learning_s=0.3, parameters=1000, held_bytes=500, checkpointed_bytes=50)


def test_seconds_are_calls_times_their_time() -> None:
    assert estimate(Work(inference=10, learning=20, held=1), PROBE).seconds == pytest.approx(10 * 0.1 + 20 * 0.3)
    assert estimate(Work(10, 20, 1, gradient_checkpointing=True), PROBE).seconds == pytest.approx(10 * 0.1 + 20 * 0.4)


def test_bytes_are_weights_gradients_optimizer_and_activations() -> None:
    assert estimate(Work(1, 1, held=6), PROBE).bytes == BYTES_A_PARAMETER * 1000 + 6 * 500
    assert estimate(Work(1, 1, held=6, gradient_checkpointing=True), PROBE).bytes == BYTES_A_PARAMETER * 1000 + 6 * 50 + 500


def test_diffusionclip_counts_its_calls() -> None:
    settings = DiffusionCLIPTune(
        images=50, epochs=5, training_steps=6, batch_size=2, grid="paper", inversion_steps=40, sample_every=50, sample_steps=40
    )
    work = training_work(settings, images=60, samples=4)
    assert work.learning == 50 * 5 * 6
    assert work.inference == 39 * 54 + 3 * 4 * 40  # 125 updates: samples after 50, 100 and at the end
    assert work.held == 12
    assert training_work(settings.model_copy(update={"mode": "saving"}), 60, 4).held == 2


def test_the_probe_measures_the_loaded_network(tmp_path: Path) -> None:
    base = load_base(write_base(tmp_path / "base"))
    probe = measure(base, TicketLock())
    assert probe.learning_s > 0 and probe.inference_s > 0
    assert probe.parameters == sum(p.numel() for p in base.unet.parameters())
    assert 0 < probe.checkpointed_bytes < probe.held_bytes

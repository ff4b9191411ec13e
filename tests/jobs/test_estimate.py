"""The estimate: calls counted by the method, times one probe of the network."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from core.jobs.estimate import BYTES_A_PARAMETER, Probe, estimate, measure
from core.jobs.lock import TicketLock
from core.methods.diffusionclip_settings import DiffusionCLIPTune
from core.methods.diffusionclip_work import training_work
from core.models.base import load_base
from core.models.clip import load_clip
from core.types import Work
from tests.tiny import write_base, write_clip

PROBE = Probe(inference_s=0.1, learning_s=0.3, parameters=1000, held_bytes=500, checkpointed_bytes=50)


def test_seconds_are_calls_times_their_time() -> None:
    assert estimate(Work(inference=10, learning=20, held=1), PROBE).seconds == pytest.approx(10 * 0.1 + 20 * 0.3)
    assert estimate(Work(10, 20, 1, gradient_checkpointing=True), PROBE).seconds == pytest.approx(10 * 0.1 + 20 * 0.4)


def test_the_optimizer_and_clip_take_their_time_and_memory() -> None:
    probe = dataclasses.replace(PROBE, update_s=0.05, clip_s=0.2, clip_parameters=10, clip_held_bytes=7)
    work, alone = Work(inference=0, learning=0, held=0, updates=10, embedded=40), Work(inference=0, learning=0, held=0)
    assert estimate(work, probe).seconds == pytest.approx(10 * 0.05 + 40 * 0.2)
    assert estimate(work, probe).bytes - estimate(alone, probe).bytes == 4 * 7  # four images an update


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
    assert (work.held, work.updates, work.embedded) == (12, 125, 250)
    guided = training_work(settings.model_copy(update={"attention_guidance": 0.5}), 60, 4)
    assert guided.inference == 39 * 54 + 2 * 3 * 4 * 40, "the samples alone are guided"
    saving = training_work(settings.model_copy(update={"mode": "saving"}), 60, 4)
    assert (saving.held, saving.updates, saving.embedded) == (2, 125 * 6, 250 * 6)


@pytest.mark.long
def test_the_probe_measures_the_loaded_network(tmp_path: Path) -> None:
    base = load_base(write_base(tmp_path / "base"))
    clip = load_clip(write_clip(tmp_path / "clip"))
    probe = measure(base, clip, TicketLock())
    assert probe.learning_s > 0 and probe.inference_s > 0
    assert probe.parameters == sum(p.numel() for p in base.unet.parameters())
    assert 0 < probe.checkpointed_bytes < probe.held_bytes
    assert probe.update_s > 0 and probe.clip_s > 0 and probe.clip_held_bytes > 0
    assert measure(base, None, TicketLock()).clip_s == 0

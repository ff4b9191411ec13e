"""The recipe of the base: its losses, a step, an export that `load_base` reads, and its measures, on a tiny network."""

from __future__ import annotations

import pytest
import torch

from core.models.base import load_base
from core.pretrain import base as recipe
from core.pretrain import base_quality, common
from core.process.schedule import Schedule
from tests.tiny import IMAGE_SIZE, tiny_unet, write_judge


@pytest.fixture
def training():
    images = torch.randint(0, 256, (6, 3, IMAGE_SIZE, IMAGE_SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)).numpy()
    return recipe.BaseTraining(tiny_unet(), images, batch=4, lr=1e-3, device=torch.device("cpu"))


def test_the_network_is_a_plain_small_unet():
    unet = recipe.build()
    assert 3.5e6 < sum(p.numel() for p in unet.parameters()) < 4.0e6
    assert unet.config.sample_size == 64 and unet.config.out_channels == 3


def test_the_losses_are_balanced_over_the_timesteps_and_zero_for_the_truth():
    torch.manual_seed(0)
    noise = torch.randn(64, 3, 16, 16)
    at_one, above = (recipe.denoising_losses(torch.zeros_like(noise), noise, torch.full((64,), snr)) for snr in (1.0, 32.0))
    assert at_one[0].item() == pytest.approx(1, abs=0.05)  # the squared error of a prediction of zero
    assert above[0].item() == pytest.approx(at_one[0].item() * 32.0**-recipe.BALANCE, rel=1e-4)
    assert at_one[1].item() == pytest.approx(1 / (1 + (recipe.POOL / 2) ** 2), rel=0.2)
    assert all(loss.item() == 0 for loss in recipe.denoising_losses(noise, noise, torch.ones(64)))


def test_the_coarse_loss_fades_where_the_image_drowns_the_noise():
    noise = torch.ones(1, 3, 16, 16)
    by_t = [recipe.denoising_losses(torch.zeros_like(noise), noise, Schedule().snr(torch.tensor([t])))[1].item() for t in (50, 400, 950)]
    assert by_t[0] < 0.01 * by_t[2] and by_t[0] < by_t[1] < by_t[2]


@pytest.mark.long
def test_a_step_learns_and_moves_the_average(training):
    before = {name: value.clone() for name, value in training.ema.module.state_dict().items()}
    losses = []
    for step in range(8):
        torch.manual_seed(0)
        losses.append(float(training.step(100, step / 8)["loss"]))
    assert losses[-1] < losses[0]
    assert any(not torch.equal(value, before[name]) for name, value in training.ema.module.state_dict().items())


def test_export_is_a_diffusers_folder_in_half_precision(training, tmp_path):
    recipe.export(training.unet, tmp_path, {"steps": 0})
    base = load_base(tmp_path, dtype=torch.float32)
    assert base.name == recipe.TITLE and base.domain == "photo" and base.image_size == IMAGE_SIZE
    for name, value in training.unet.state_dict().items():
        assert torch.allclose(base.state_dict()[name], value, rtol=1e-3, atol=1e-4)
    assert not list(tmp_path.glob("*.bin"))


def test_free_samples_depend_on_their_seed_alone(training, tmp_path, monkeypatch):
    monkeypatch.setattr(base_quality, "SAMPLE_STEPS", 3)
    recipe.export(training.unet, tmp_path, {})
    base = load_base(tmp_path, dtype=torch.float32)
    three, last = base_quality.free_samples(base, 3), base_quality.free_samples(base, 1, first_seed=2)
    assert three.shape == (3, 3, IMAGE_SIZE, IMAGE_SIZE)
    assert (three[2:] - last).abs().mean() < 1e-3  # kernels sum in another order for another batch size


@pytest.mark.long
def test_evaluation_writes_figures_and_a_sheet(training, tmp_path, monkeypatch):
    monkeypatch.setattr(base_quality, "SAMPLE_STEPS", 3)
    monkeypatch.setattr(base_quality, "ROUND_TRIPS", ((9, 3, 2),))
    recipe.export(training.unet, tmp_path / "base", {"steps": 7})
    write_judge(tmp_path / "judge")
    recipe.evaluate(tmp_path / "base", tmp_path / "judge", tmp_path / "sheet.png", count=2)
    card = common.read_card(tmp_path / "base")
    assert card["steps"] == 7 and card["measured"]["portraits"] == 2
    assert "reconstruction dB (9, 3/2)" in card["measured"]
    assert (tmp_path / "sheet.png").exists()

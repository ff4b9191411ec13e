"""The schedule against its closed forms, and the signature that trajectories are keyed by."""

import math

import numpy as np
import pytest
import torch

from core.process.schedule import Schedule

BETAS = np.linspace(1e-4, 0.02, 1000)


def test_alpha_bar_is_the_product_of_one_minus_beta():
    schedule = Schedule()
    assert schedule.betas.dtype == torch.float64 and schedule.alpha_bar.dtype == torch.float32
    np.testing.assert_allclose(schedule.betas.numpy(), BETAS, rtol=1e-12)
    np.testing.assert_allclose(schedule.alpha_bar.numpy(), np.cumprod(1 - BETAS), rtol=2e-7)


def test_minus_one_is_the_clean_image_for_ints_and_tensors():
    schedule = Schedule()
    assert schedule.alpha_bar_at(-1) == 1.0
    assert schedule.alpha_bar_at(torch.tensor([-1, 0, 999])).tolist() == [1.0, schedule.alpha_bar[0].item(), schedule.alpha_bar[999].item()]


@pytest.mark.parametrize("t", [-2, 1000])
def test_a_timestep_beyond_the_schedule_is_an_error(t):
    with pytest.raises(ValueError, match="outside"):
        Schedule().alpha_bar_at(t)


def test_snr_and_p2_weight():
    schedule, alpha_bar = Schedule(), np.cumprod(1 - BETAS)
    t = torch.tensor([5, 300, 999])
    snr = alpha_bar[t.numpy()] / (1 - alpha_bar[t.numpy()])
    np.testing.assert_allclose(schedule.snr(t).numpy(), snr, rtol=1e-4)  # 1 − ᾱ loses digits in float32 near t = 0
    np.testing.assert_allclose(schedule.p2_weight(t, gamma=3.0).numpy(), (1 + snr) ** -3.0, rtol=1e-4)
    np.testing.assert_allclose(schedule.p2_weight(t, gamma=0.5, k=2.0).numpy(), (2 + snr) ** -0.5, rtol=1e-4)
    assert schedule.p2_weight(300, gamma=0.0).item() == 1.0
    assert math.isinf(schedule.snr(-1).item())


def test_signature_differs_whenever_the_values_do():
    schedules = [Schedule(), Schedule(500), Schedule(beta_end=0.03), Schedule(beta_start=2e-4)]
    assert len({schedule.signature() for schedule in schedules}) == 4
    assert Schedule().signature() == Schedule().to("cpu").signature()


def test_impossible_schedules_are_refused():
    for arguments in ((1,), (10, 0.0), (10, 0.02, 0.01), (10, 0.01, 1.0)):
        with pytest.raises(ValueError):
            Schedule(*arguments)


def test_scaled_linear_is_linear_in_the_root_of_beta():
    schedule = Schedule(1000, 0.00085, 0.012, "scaled_linear")
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    np.testing.assert_allclose(schedule.alpha_bar.numpy(), np.cumprod(1 - betas), rtol=2e-7)
    assert schedule.to("cpu").signature() == schedule.signature() != Schedule(1000, 0.00085, 0.012).signature()
    with pytest.raises(ValueError, match="no beta schedule"):
        Schedule(beta_schedule="cosine")


def test_a_device_without_float64_takes_it():
    moved = Schedule().to("meta")
    assert moved.alpha_bar.device.type == "meta" and moved.alpha_bar.dtype == torch.float32 and moved.betas.device.type == "cpu"

"""SDFT's terms by hand, its weightings, velocities, baselines, and translation."""

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from core.methods import METHODS
from core.methods.sdft_losses import distillation, squared_error, timestep_weight
from core.methods.sdft_settings import SDFTEdit, SDFTTune
from core.methods.sdft_train import SDFTLosses
from core.methods.student import Student
from core.methods.target_train import Noised
from core.models.base import Base
from core.process.ddim import add_noise
from core.process.schedule import Schedule
from core.types import EditRequest, EditResult, ShiftlabError
from tests.methods.conftest import random_edit
from tests.tiny import tiny_unet

SCHEDULE = Schedule()
T = torch.tensor([5, 400, 900])


def noised(images) -> Noised:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return Noised(images, T, noise, add_noise(images, T, noise, SCHEDULE))


def moved(base) -> Student:
    student = Student(base)
    with torch.no_grad():
        for weight in student.learning.values():
            weight.add_(0.02 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    return student


def test_the_loss_by_hand(context, images):
    batch, student = noised(images), moved(context.base)
    terms = SDFTLosses(SDFTTune(lambda_d=0.2, gamma_d=3, lambda_a=0.4, gamma_a=5), context.base)(student, batch)
    alpha_bar = SCHEDULE.alpha_bar[T]
    with torch.no_grad():
        (ours_x, _), (ours_z, _) = student.outputs(batch.x, T), student.outputs(batch.noise, T)
        source_x, source_z = context.base.eps(batch.x, T), context.base.eps(batch.noise, T)
    assert terms["denoising"].item() == pytest.approx((batch.noise - ours_x).square().mean().item(), rel=1e-5)
    expected = 0.2 * (1 - alpha_bar) ** 3 * (source_x - ours_x).square().mean(dim=(1, 2, 3))
    assert terms["distillation"].item() == pytest.approx(expected.mean().item(), rel=1e-4)
    expected = 0.4 * (1 - alpha_bar) ** 5 * (source_z - ours_z).square().mean(dim=(1, 2, 3))
    assert terms["auxiliary"].item() == pytest.approx(expected.mean().item(), rel=1e-4)


def test_the_student_begins_with_nothing_to_distil(context, images):
    terms = SDFTLosses(SDFTTune(), context.base)(Student(context.base), noised(images))
    assert terms["distillation"].item() == pytest.approx(0, abs=1e-10) and terms["auxiliary"].item() == pytest.approx(0, abs=1e-10)


def test_weightings():
    snr = SCHEDULE.snr(T)
    assert torch.allclose(timestep_weight("sdft", 3.0, T, SCHEDULE), 1 / (1 + snr) ** 3, rtol=1e-3, atol=1e-10)
    assert timestep_weight("constant", 3.0, T, SCHEDULE).tolist() == [1, 1, 1]
    assert torch.allclose(timestep_weight("min_snr_5", 3.0, T, SCHEDULE), torch.minimum(snr, torch.tensor(5.0)) / snr)
    a, b = torch.zeros(3, 3, 4, 4), torch.full((3, 3, 4, 4), 2.0)
    assert squared_error(a, b).tolist() == [4, 4, 4]
    assert distillation(a, b, T, 0.5, 1.0, SCHEDULE, "constant").tolist() == [2, 2, 2]


def test_naive_fine_tuning_never_asks_the_teacher(context, images, monkeypatch):
    student = Student(context.base)
    monkeypatch.setattr(context.base, "eps", None)
    assert set(SDFTLosses(SDFTTune(lambda_d=0, lambda_a=0), context.base)(student, noised(images))) == {"denoising"}


@pytest.mark.parametrize("weighting", ["sdft", "constant", "min_snr_5"])
def test_velocities_are_compared_where_the_base_predicts_them(images, weighting):
    base = Base(tiny_unet(), prediction="v_prediction")
    student, batch = moved(base), noised(images)
    settings = SDFTTune(weighting=weighting, gamma_d=1)
    terms = SDFTLosses(settings, base)(student, batch)
    with torch.no_grad():
        ours, source = student.unet(batch.x, T).sample, base.unet(batch.x, T).sample
    alpha_bar, snr = SCHEDULE.alpha_bar[T], SCHEDULE.snr(T)
    true = alpha_bar.view(-1, 1, 1, 1).sqrt() * batch.noise - (1 - alpha_bar).view(-1, 1, 1, 1).sqrt() * images
    weights = {"sdft": 1 - alpha_bar, "constant": torch.ones(3), "min_snr_5": snr.clamp(max=5) / (snr + 1)}
    assert terms["denoising"].item() == pytest.approx((true - ours).square().mean().item(), rel=1e-3)
    expected = (0.1 * weights[weighting] * (source - ours).square().mean(dim=(1, 2, 3))).mean().item()
    assert terms["distillation"].item() == pytest.approx(expected, rel=1e-3)
    noise_errors = SDFTLosses(settings.model_copy(update={"errors_of": "noise"}), base)(student, batch)
    assert noise_errors["denoising"] < terms["denoising"]


def test_the_defaults_are_those_of_the_paper_for_metfaces():
    settings = SDFTTune()
    assert (settings.lambda_d, settings.lambda_a, settings.gamma_d, settings.gamma_a) == (0.1, 0.1, 3, 50)
    assert (settings.learning_rate, settings.ema, settings.flip, settings.sample_steps) == (2e-5, 0.9999, True, 40)
    edit = SDFTEdit()
    assert (edit.return_step, edit.generation_steps, edit.eta) == (500, 40, 0)


def test_adapters_of_random_weights_are_refused():
    with pytest.raises(ValidationError, match="rank 0"):
        SDFTTune(start="scratch", rank=4)


@pytest.mark.parametrize("method", ["sdft", "domainstudio"])
def test_translation_walks_with_the_tuned_base(context, images, method):
    settings = METHODS[method].edit_settings(return_step=300, generation_steps=3)
    edit = random_edit(context.base, 1)
    task = EditRequest(images, settings, (edit,), seed=2)
    *_, result = METHODS[method].edit(task, context)
    *_, other = METHODS[method].edit(replace(task, edits=(random_edit(context.base, 2),)), context)
    assert isinstance(result, EditResult) and result.images.shape == images.shape
    assert not torch.allclose(result.images, other.images)
    with pytest.raises(ShiftlabError, match="tuned base, and none is chosen"):
        list(METHODS[method].edit(replace(task, edits=()), context))

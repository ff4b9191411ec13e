"""DomainStudio's losses against their formulas."""

import pytest
import torch

from core.methods.domainstudio_losses import high_frequencies, high_frequency_error, limited, pairwise_loss, similarities
from core.methods.domainstudio_settings import DomainStudioTune
from core.methods.domainstudio_train import DomainStudioLosses
from core.methods.sdft_losses import squared_error
from core.methods.student import Student
from core.methods.target_train import Noised
from core.process.ddim import add_noise, predict_x0
from core.process.schedule import Schedule

SCHEDULE = Schedule()
T = torch.tensor([5, 400, 900])


def test_high_frequencies_of_one_block():
    block = torch.tensor([[1.0, 2.0], [4.0, 8.0]]).view(1, 1, 2, 2)
    lh, hl, hh = (4 + 8 - 1 - 2) / 2, (2 + 8 - 1 - 4) / 2, (1 + 8 - 2 - 4) / 2
    assert high_frequencies(block).item() == pytest.approx(lh + hl + hh, rel=1e-6)


def test_flat_pictures_have_no_high_frequencies():
    flat = torch.tensor([0.3, -0.9]).view(2, 1, 1, 1).expand(2, 3, 8, 8)
    assert high_frequencies(flat).shape == (2, 3, 4, 4)
    assert high_frequencies(flat).abs().max() < 1e-6


def test_similarities_by_hand():
    x = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]]).view(3, 1, 1, 2)
    first = torch.tensor([0.0, 0.5**0.5]).softmax(dim=0)
    assert torch.allclose(similarities(x)[0], first, atol=1e-6) and torch.allclose(similarities(x).sum(dim=1), torch.ones(3))


def test_the_divergence_is_the_mean_over_all_entries():
    source, adapted = torch.randn(2, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    p, q = similarities(source), similarities(adapted)
    assert pairwise_loss(source, adapted).item() == pytest.approx((p * (p / q).log()).sum().item() / 12, rel=1e-3)
    assert pairwise_loss(source, source).item() == pytest.approx(0, abs=1e-7)
    assert pairwise_loss(source, 5 * source).item() == pytest.approx(0, abs=1e-7)  # how alike they are, not how strong


def test_losses_take_latents_of_any_channels():
    latents = torch.randn(3, 4, 8, 8, requires_grad=True)
    pairwise_loss(torch.randn(3, 4, 8, 8), high_frequencies(latents).repeat(1, 1, 2, 2)).backward()
    assert latents.grad.abs().sum() > 0


def test_the_limit_only_touches_high_noise():
    snr = SCHEDULE.snr(T)
    assert limited(snr, 5.0)[:1].tolist() == [1.0]
    assert limited(snr, 5.0)[2].item() == pytest.approx(5 * snr[2].item())
    assert (limited(snr, 5.0) / snr).max() <= 5.0001


def test_the_loss_by_hand(context, images):
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    batch = Noised(images, T, noise, add_noise(images, T, noise, SCHEDULE))
    student = Student(context.base)
    with torch.no_grad():
        student.learning["conv_out.weight"].add_(0.1)
        eps, source = student.outputs(batch.x, T)[0], context.base.eps(batch.x, T)
    adapted, original = (predict_x0(batch.x, each, SCHEDULE.alpha_bar_at(T)) for each in (eps, source))
    terms = DomainStudioLosses(DomainStudioTune(hf_limit=2.0), context.base)(student, batch)
    assert terms["denoising"].item() == pytest.approx(squared_error(noise, eps).mean().item(), rel=1e-5)
    assert terms["similarity"].item() == pytest.approx(4 * pairwise_loss(original, adapted).item(), rel=1e-2, abs=1e-7)
    hf = pairwise_loss(high_frequencies(original), high_frequencies(adapted)).item()
    assert terms["similarity of details"].item() == pytest.approx(4 * hf, rel=1e-2, abs=1e-7)
    details = (limited(SCHEDULE.snr(T), 2.0) * high_frequency_error(adapted, images)).mean().item()
    assert terms["details"].item() == pytest.approx(details, rel=1e-4)


def test_terms_of_weight_nothing_are_not_computed(context, images, monkeypatch):
    student = Student(context.base)
    monkeypatch.setattr(context.base, "eps", None)
    batch = Noised(images, T, images, add_noise(images, T, images, SCHEDULE))
    terms = DomainStudioLosses(DomainStudioTune(w_pair=0, w_hf_pair=0, w_hf=0), context.base)(student, batch)
    assert set(terms) == {"denoising"}

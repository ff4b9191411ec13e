"""PSNR and SSIM: one number an image, the same as by hand."""

import math

import pytest
import torch

from core.metrics.image import psnr, ssim


def test_psnr_by_hand():
    a = torch.zeros(2, 3, 16, 16)
    b = torch.stack([torch.full((3, 16, 16), 0.2), torch.full((3, 16, 16), 0.02)])
    assert psnr(a, b).tolist() == pytest.approx([20 * math.log10(2 / 0.2), 20 * math.log10(2 / 0.02)], abs=1e-3)


def test_ssim_of_equal_images_is_one_and_of_noise_is_low():
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    scores = ssim(images, torch.stack([images[0], -images[1]]))
    assert scores.shape == (2,)
    assert scores[0].item() == pytest.approx(1.0, abs=1e-5)
    assert scores[1].item() < 0.3


def test_ssim_of_one_image_keeps_its_shape():
    assert ssim(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)).shape == (1,)


def test_the_papers_psnr_is_six_decibel_lower_on_grey():
    a = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)).expand(2, 3, 16, 16) * 2 - 1
    b = a * 0.8
    expected = (psnr(a, b) - 20 * math.log10(2)).tolist()
    assert psnr(a, b, paper_compatible=True).tolist() == pytest.approx(expected, abs=1e-3)


def test_the_papers_psnr_sees_luma_alone():
    a, b = torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)
    b[:, 0], b[:, 1] = 0.587, -0.299
    assert psnr(a, b, paper_compatible=True).item() > 100 > psnr(a, b).item()


def test_the_papers_ssim_by_hand_on_flat_pictures():
    """Without variance, SSIM is (2·μ_a·μ_b + c) / (μ_a² + μ_b² + c) with c = 0.01²."""
    a, b = torch.full((1, 3, 16, 16), -0.5), torch.full((1, 3, 16, 16), 0.2)
    expected = (2 * -0.5 * 0.2 + 1e-4) / (0.25 + 0.04 + 1e-4)
    assert ssim(a, b, paper_compatible=True).item() == pytest.approx(expected, abs=1e-3)
    assert ssim(a, b).item() > 0

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

"""What keeps the shapes of light and dark: colours, contrast and flat ground are free, a mouth that bends the other way is not."""

import pytest
import torch

from core.methods.structure import SIDE, structure_loss
from core.worlds import portraits as world


@pytest.fixture(scope="module")
def pictures():
    return world.render(world.sample(8, 5), "photo", 32)


def test_colour_and_contrast_are_free(pictures):
    recoloured = pictures.mean(dim=1, keepdim=True) * torch.tensor([0.1, 0.9, 0.5])[None, :, None, None] * 0.8 - 0.15
    assert structure_loss(pictures, pictures).max() < 0.1
    assert structure_loss(recoloured, pictures).max() < 0.2


def test_a_negative_a_mirror_and_a_blank_are_not_the_same_picture(pictures):
    blank = torch.zeros_like(pictures)
    assert structure_loss(-pictures, pictures).min() > 1.8
    assert structure_loss(pictures.flip(-1), pictures).min() > 0.3
    assert torch.allclose(structure_loss(blank, pictures), torch.ones(8))
    assert torch.allclose(structure_loss(pictures, blank), torch.ones(8)), "nothing to keep"


def test_by_hand():
    """One window of five pixels: x = (0, 0, 0, 0, 1) in every row, x0 = (0, 1, 0, 0, 1); covariance 0.2 − 0.2·0.4, variances 0.16, 0.24."""
    x, x0 = (torch.tensor(row).expand(1, 3, 5, 5) for row in ([0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0, 1.0]))
    assert structure_loss(x, x0).item() == pytest.approx(1 - 0.12 / (0.161 * 0.241) ** 0.5, abs=1e-5)


def test_what_stands_out_counts_more():
    x0 = torch.zeros(1, 3, 16, 32)
    x0[..., 4:12, 6:10], x0[..., 4:12, 22:26] = 0.8, 0.1  # a strong bar on the left, a faint one on the right
    without_faint, without_strong = x0.clone(), x0.clone()
    without_faint[..., 16:], without_strong[..., :16] = 0.0, 0.0
    assert structure_loss(without_faint, x0).item() < 0.4 < 0.6 < structure_loss(without_strong, x0).item()


@pytest.mark.parametrize("domain", [domain for domain in world.DOMAINS if domain != "photo"])
def test_a_true_picture_of_the_domain_is_nearer_than_one_whose_mouth_is_bent_the_other_way(domain):
    people = world.sample(32, 6)
    photos = world.render(people, "photo", 64)
    by_smile = [world.render(world.with_attributes(people, smiling=smiling), domain, 64) for smiling in (False, True)]
    serious, smiling = (structure_loss(pictures, photos) for pictures in by_smile)
    assert torch.equal(smiling < serious, people.smiling)


def test_large_pictures_are_compared_at_a_common_size(pictures):
    large = torch.nn.functional.interpolate(pictures, (4 * SIDE, 4 * SIDE), mode="nearest")
    small = torch.nn.functional.adaptive_avg_pool2d(large, SIDE)
    assert torch.allclose(structure_loss(large.flip(-1), large), structure_loss(small.flip(-1), small), atol=1e-4)


def test_it_has_a_gradient_where_pictures_differ(pictures):
    x = pictures.flip(0).clone().requires_grad_(True)
    structure_loss(x, pictures).sum().backward()
    assert x.grad.isfinite().all() and (x.grad.abs().amax(dim=(1, 2, 3)) > 1e-5).all()

"""The losses against their formulas, computed by hand."""

import math

import pytest
import torch

from core.methods.losses import DiffusionCLIPLoss, direction_loss, l1_loss


def test_direction_loss_by_hand():
    direction = torch.tensor([1.0, 0.0])
    change = torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, math.sqrt(3.0)]])  # cosines 1, 0, 0.5
    assert direction_loss(change, direction).tolist() == pytest.approx([0.0, math.log(2.0), -math.log(0.75)], abs=1e-5)


@pytest.mark.parametrize("change", [[-1.0, 0.0], [0.0, 0.0]])
def test_direction_loss_and_its_gradient_stay_finite(change):
    moved = torch.tensor([change], requires_grad=True)
    loss = direction_loss(moved, torch.tensor([1.0, 0.0])).sum()
    loss.backward()
    assert math.isfinite(loss.item()) and moved.grad.isfinite().all()


def test_l1_is_a_mean_over_the_picture():
    x = torch.zeros(2, 3, 4, 4)
    x[0, 0] = 0.6
    assert l1_loss(x, torch.zeros_like(x)).tolist() == pytest.approx([0.2, 0.0])


def test_the_sum_of_the_terms(models, images):
    clip, identity = models["clip"], models["identity"]
    direction = clip.text_direction("a photo", "a sketch")
    loss = DiffusionCLIPLoss(clip, identity, direction, w_clip=3.0, w_l1=0.5, w_id=2.0)
    x = images.flip(0).requires_grad_(True)
    value, numbers = loss(x, loss.originals(images))

    change = clip.encode_image(x) - clip.encode_image(images)
    cosine = torch.nn.functional.cosine_similarity(change, direction[None])
    by_clip = -torch.log((1 + cosine) / 2).mean().item()
    by_identity = (1 - identity.score(x, images)).mean().item()
    by_l1 = (x - images).abs().mean().item()
    assert numbers == pytest.approx({"loss": value.item(), "clip": by_clip, "l1": by_l1, "identity": by_identity}, abs=1e-4)
    assert value.item() == pytest.approx(3 * by_clip + 0.5 * by_l1 + 2 * by_identity, abs=1e-3)


@pytest.mark.parametrize("weights", [(1.0, 0.0, 0.0), (1e-9, 1.0, 0.0), (1e-9, 0.0, 1.0)])
def test_every_term_has_a_gradient(models, images, weights):
    direction = models["clip"].text_direction("a photo", "a sketch")
    loss = DiffusionCLIPLoss(models["clip"], models["identity"], direction, *weights)
    x = images.flip(0).requires_grad_(True)
    loss(x, loss.originals(images))[0].backward()
    assert x.grad.abs().max() > 1e-6


def test_originals_are_picked_by_index(models, images):
    loss = DiffusionCLIPLoss(models["clip"], models["identity"], models["clip"].text_direction("a", "b"), 1.0, 1.0, 1.0)
    originals = loss.originals(images, batch=2)
    one = originals[torch.tensor([2])]
    assert torch.equal(one.images, images[2:]) and torch.equal(one.clip, originals.clip[2:]) and len(one.identity) == 1

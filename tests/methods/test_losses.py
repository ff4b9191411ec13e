"""The losses against their formulas, computed by hand."""

import math

import pytest
import torch

from core.methods.losses import DiffusionCLIPLoss, direction_loss, l1_loss, most_alike, pairs_loss
from core.methods.patches import patch_distance, stroke_distance
from core.methods.structure import structure_loss


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


def test_pairs_loss_by_hand():
    originals = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    assert pairs_loss(originals + 5.0, originals).item() == pytest.approx(0.0, abs=1e-6), "where all move alike, nothing is lost"
    turned = originals[:, [1, 0]]  # the differences (1, 0), (1, −1), (0, −1) become (0, 1), (−1, 1), (−1, 0)
    assert pairs_loss(turned, originals).item() == pytest.approx(1.0 - (0.0 - 1.0 + 0.0) / 3)


def test_alike_is_who_differs_from_its_mean_in_the_same_way():
    people = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    pictures = 3.0 * people[[2, 0, 3, 1]] + torch.tensor([50.0, -20.0])  # another domain, in another order
    assert most_alike(people, pictures, 1)[:, 0].tolist() == [1, 3, 0, 2]
    assert most_alike(people, pictures, 9).shape == (4, 4), "no more than there are"


def test_patches_of_alike_targets_alone_count(models, images):
    clip = models["clip"]
    targets = torch.cat([images.flip(0) * 0.5, torch.ones_like(images)])
    loss = DiffusionCLIPLoss(clip, None, clip.text_direction("a photo", "a sketch"), 0.0, 0.0, 0.0, 1.0, targets=targets, patch_alike=1)
    originals = loss.originals(images)
    assert originals.alike is not None and originals[torch.tensor([1])].alike.shape == (1, 1)
    _, numbers = loss(images, originals, torch.Generator().manual_seed(0))
    expected = patch_distance(images, targets[originals.alike.flatten()], torch.Generator().manual_seed(0))
    assert numbers["patches"] == pytest.approx(expected.item())


@pytest.mark.parametrize(("name", "of_them"), [("patches", patch_distance), ("strokes", stroke_distance)])
def test_how_patches_and_strokes_are_compared_is_handed_on(models, images, name, of_them):
    how = {"sizes": 1, "regions": 2}
    named = {f"w_{name}": 1.0, **{f"patch_{key}": value for key, value in how.items()}}
    loss = DiffusionCLIPLoss(models["clip"], None, models["clip"].text_direction("a", "b"), 0.0, 0.0, 0.0, targets=-images, **named)
    _, numbers = loss(images, loss.originals(images), torch.Generator().manual_seed(0))
    expected = of_them(images, -images, torch.Generator().manual_seed(0), **how)
    assert numbers[name] == pytest.approx(expected.item())


def test_pairs_take_both_encoders_and_leave_a_single_picture_alone(models, images):
    clip, identity = models["clip"], models["identity"]
    loss = DiffusionCLIPLoss(clip, identity, clip.text_direction("a photo", "a sketch"), 1.0, 0.0, 0.0, w_pairs=2.0)
    originals, x = loss.originals(images), images.flip(0)
    expected = sum(pairs_loss(embed(x), embed(images)).item() for embed in (clip.encode_image, identity.embed))
    value, numbers = loss(x, originals)
    assert numbers["pairs"] == pytest.approx(expected, abs=1e-4) and value.item() == pytest.approx(numbers["clip"] + 2 * expected, abs=1e-3)
    assert "pairs" not in loss(x[:1], originals[torch.tensor([0])])[1] and "identity" not in numbers


def test_structure_is_weighed_and_told(models, images):
    loss = DiffusionCLIPLoss(models["clip"], None, models["clip"].text_direction("a", "b"), 0.0, 0.0, 0.0, w_structure=2.0)
    value, numbers = loss(images.flip(0), loss.originals(images))
    expected = structure_loss(images.flip(0), images).mean().item()
    assert numbers["structure"] == pytest.approx(expected) and value.item() == pytest.approx(2 * expected)


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

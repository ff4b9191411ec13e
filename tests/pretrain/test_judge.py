"""The recipe of the judge: batches with spoiled pictures, a step, and its measures."""

from __future__ import annotations

import pytest
import torch

from core.models.judge import Judge, JudgeNetwork
from core.pretrain import judge as recipe
from core.pretrain import judge_data
from core.pretrain.dataset import to_bytes
from core.worlds import portraits as world


@pytest.fixture(scope="module")
def people():
    return world.sample(8, 11)


@pytest.fixture(scope="module")
def images(people):
    return {domain: to_bytes(world.render(people, domain, 32)).numpy() for domain in world.DOMAINS}


@pytest.mark.parametrize("failure", judge_data.FAILURES[:-1], ids=lambda failure: failure.__name__)
def test_every_failure_changes_a_picture_and_keeps_its_shape(failure, people):
    torch.manual_seed(0)
    x, other = world.render(people, "photo", 32), world.render(people, "sketch", 32)
    spoilt = failure(x, other)
    assert spoilt.shape == x.shape and torch.isfinite(spoilt).all()
    assert ((spoilt - x).abs().mean(dim=(1, 2, 3)) > 0.01).all()


def test_shuffling_moves_pixels_and_invents_none(people):
    x = world.render(people, "photo", 32)
    assert torch.equal(judge_data.shuffled(x, x).flatten(1).sort().values, x.flatten(1).sort().values)


def test_light_changes_are_light(people):
    x = world.render(people, "photo", 32)
    assert (judge_data.lightly(x) - x).abs().mean() < 0.2


def test_a_batch_labels_the_last_third_as_none_of_these(images, people):
    torch.manual_seed(0)
    x, domain, attributes = judge_data.judge_batch(images, people.attributes, 30)
    assert x.shape == (30, 3, 32, 32) and attributes.shape == (30, 6)
    assert (domain[20:] == len(images)).all() and (domain[:20] < len(images)).all()


@pytest.mark.long
def test_a_few_steps_learn(images, people):
    torch.manual_seed(0)
    training = recipe.JudgeTraining(JudgeNetwork(5, 6, 8), images, people.attributes, batch=30, lr=3e-3)
    rows = []
    for step in range(20):
        torch.manual_seed(step)
        rows.append(float(training.step(step, step / 20)["domain"]))
    assert sum(rows[-4:]) < sum(rows[:4])


@pytest.mark.long
def test_measures_cover_every_domain_and_attribute():
    figures = recipe.measure(Judge(JudgeNetwork(5, 6, 4), world.DOMAINS, world.ATTRIBUTES), count=3)
    assert len(figures) == 5 * (2 + 6) + 1
    assert all(0 <= value <= 1 for name, value in figures.items() if name != "portraits")

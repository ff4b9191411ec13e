"""Rendered sets: drawn once, named by what they depend on."""

from __future__ import annotations

import torch

from core.pretrain import dataset
from core.worlds import portraits as world


def test_a_set_is_drawn_once_and_holds_what_the_world_draws(tmp_path, monkeypatch):
    people = world.sample(3, 5)
    images = dataset.rendered(people, "photo", tmp_path, size=16, chunk=2)
    assert images.shape == (3, 3, 16, 16)
    assert (dataset.batch_of(images, torch.arange(3)) - world.render(people, "photo", 16)).abs().max() <= 1 / 255 + 1e-6
    monkeypatch.setattr(world, "render", None)  # a second call must not draw
    again = dataset.rendered(people, "photo", tmp_path, size=16)
    assert (again == images).all()


def test_the_name_changes_with_people_domain_and_size():
    people = world.sample(2, 5)
    keys = {
        dataset.render_key(people, "photo", 16),
        dataset.render_key(people, "night", 16),
        dataset.render_key(people, "photo", 32),
        dataset.render_key(world.sample(2, 6), "photo", 16),
        dataset.render_key(world.with_attributes(people, hat=True, smiling=True, beard=True), "photo", 16),
    }
    assert len(keys) == 5

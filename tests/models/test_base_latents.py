"""Inverted latents: once an image, the lock for a step at a time, a batch like its members."""

import pytest
import torch

from core.data.trajectories import TrajectoryStore
from core.models.base import Base
from core.models.latents import invert_cached
from core.process.sampling import invert
from core.process.timesteps import paper_timesteps
from tests.tiny import drained, tiny_unet

GRID = paper_timesteps(4, 301)
IMAGES = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


class CountingLock:
    def __init__(self):
        self.taken = 0

    def __enter__(self):
        self.taken += 1

    def __exit__(self, *error):
        return None


def walk(base, images, store, lock=None):
    """(events, trajectory, known) of one walk."""
    events, found = drained(invert_cached(base, images, GRID, store, lock or CountingLock()))
    return (events, *found)


@pytest.fixture()
def base():
    return Base(tiny_unet())


def test_latents_are_those_of_the_inversion_and_begin_with_the_image(base, tmp_path):
    lock = CountingLock()
    events, trajectory, known = walk(base, IMAGES, TrajectoryStore(tmp_path), lock)
    assert known == 0 and lock.taken == 3 and trajectory.timesteps == tuple(GRID)
    assert [(e.phase, e.step, e.total) for e in events] == [("invert", step, 3) for step in (1, 2, 3)]
    assert torch.equal(trajectory.at(0), IMAGES)
    for k, latent in invert(base.eps, IMAGES, GRID, base.schedule):
        assert torch.equal(trajectory.latents[k], latent)


def test_what_is_known_is_not_inverted_again(base, tmp_path):
    store = TrajectoryStore(tmp_path)
    first = walk(base, IMAGES[:2], store)[1]
    lock = CountingLock()
    events, again, known = walk(base, IMAGES[:2], store, lock)
    assert (events, known, lock.taken) == ([], 2, 0) and torch.equal(again.latents, first.latents)


def test_only_the_new_images_of_a_batch_are_inverted_and_the_order_stays(base, tmp_path):
    store = TrajectoryStore(tmp_path)
    walk(base, IMAGES[1:2], store)
    events, trajectory, known = walk(base, IMAGES, store)
    assert known == 1 and len(events) == 3
    torch.testing.assert_close(trajectory.latents, walk(base, IMAGES, None)[1].latents, atol=1e-5, rtol=1e-5)


def test_other_weights_and_another_precision_have_latents_of_their_own(base, tmp_path):
    store = TrajectoryStore(tmp_path)
    walk(base, IMAGES, store)
    assert walk(Base(tiny_unet(seed=1)), IMAGES, store)[2] == 0
    assert walk(base.with_dtype(torch.bfloat16), IMAGES, store)[2] == 0

"""Noise belongs to items."""

import torch

from core.process.noise import ItemNoise


def test_items_draw_their_own_noise_whatever_stands_beside_them():
    batch, alone = ItemNoise([3, 4]), ItemNoise([4])
    for _ in range(3):
        assert torch.equal(batch.normal((3, 5))[1], alone.normal((3, 5))[0])


def test_draws_differ_from_item_to_item_and_call_to_call():
    noise = ItemNoise([3, 4])
    first, second = noise.normal((3, 5)), noise.normal((3, 5))
    assert first.shape == (2, 3, 5)
    assert not torch.equal(first[0], first[1]) and not torch.equal(first, second)

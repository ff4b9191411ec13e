"""Seeds that depend on where a training stands alone, so that one that was stopped and resumed draws what one that was not would draw."""

from __future__ import annotations

SPREAD = 1_000_003  # a prime larger than any count of steps: no two pairs share a seed


def seed_of(seed: int, step: int) -> int:
    """The seed of the draws of one step, or epoch, of a training with this seed."""
    return seed * SPREAD + step

"""Shares of classes in pictures without labels, from what a probe says of them, three ways:

- *plain*: the share of pictures that the probe puts into a class. A probe that errs pulls it towards its own mistakes.
- *adjusted*: plain, with the probe's confusion on labelled validation pictures solved out of it (Gart and Buck, "Comparison of a
  screening test and a reference test", 1966; "adjusted count" in Forman, "Quantifying counts and costs via classification", 2008).
- *em*: the maximum of the likelihood of the probe's probabilities under other shares (Saerens, Latinne and Decaestecker, "Adjusting the
  outputs of a classifier to new a priori probabilities", Neural Computation 14, 2002, section 2.2).

The last two are right where a class looks in the target as it does where the probe was measured. What the domain does to a class's looks,
no interval covers: they hold for the draw of pictures only, the target's and, for *adjusted*, the validation's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

WAYS = ("plain", "adjusted", "em")
RESAMPLES = 200
ROUNDS, CLOSE = 1000, 1e-7  # of EM; shares that move less stand still
HEAVY = 1e3  # weight of "shares sum to 1" in the least squares
LEAST = 1e-12


@dataclass(frozen=True)
class Estimate:
    """Shares `(K,)` with the ends of their 95 % intervals, percentiles of a bootstrap."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def estimates(target: np.ndarray, validation: np.ndarray, truth: np.ndarray, prior: np.ndarray) -> dict[str, Estimate]:
    """All three by name. The same each time.

    target `(n, K)` and validation `(m, K)`: probabilities; truth `(m,)`: the latter's classes; prior `(K,)`: shares that the probe learned.
    """
    n, classes = target.shape
    said, rng = target.argmax(axis=1), np.random.default_rng(0)
    table = confusion(truth, validation.argmax(axis=1), classes)
    even = np.full(n, 1 / n)

    def plain(weights: np.ndarray) -> np.ndarray:
        return np.bincount(said, weights, classes) / weights.sum()

    def redrawn() -> np.ndarray:
        return np.stack([rng.multinomial(row.sum(), row / max(1, row.sum())) for row in table])

    ways: dict[str, tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]] = {
        "plain": (plain(even), plain),
        "adjusted": (adjusted(plain(even), table), lambda weights: adjusted(plain(weights), redrawn())),
        "em": (em(target, prior, even), lambda weights: em(target, prior, weights)),
    }
    draws = rng.multinomial(n, even, RESAMPLES).astype(float)
    return {name: _with_interval(mean, np.stack([again(weights) for weights in draws])) for name, (mean, again) in ways.items()}


def confusion(truth: np.ndarray, said: np.ndarray, classes: int) -> np.ndarray:
    """How many pictures of class i were called j: `(K, K)` whole numbers."""
    return np.bincount(truth * classes + said, minlength=classes**2).reshape(classes, classes)


def adjusted(plain: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The shares `(K,)`, 0 or more and summing to 1, that such a confusion turns into `plain`, or into what is nearest to it.

    A class that validation has no picture of is taken for one that is always recognised.
    """
    rows = np.where(table.sum(axis=1, keepdims=True) > 0, table, np.eye(len(table)))
    rates = rows / rows.sum(axis=1, keepdims=True)
    shares, _ = nnls(np.vstack([rates.T, np.full(len(plain), HEAVY)]), np.append(plain, HEAVY))
    return shares / shares.sum()


def em(posteriors: np.ndarray, prior: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The shares `(K,)` of greatest likelihood. posteriors `(n, K)` under the shares `prior` `(K,)`; weights `(n,)` of the pictures."""
    ratios = posteriors / prior.clip(min=LEAST)
    weights, shares = weights / weights.sum(), prior
    for _ in range(ROUNDS):
        joint = ratios * shares
        new = weights @ (joint / joint.sum(axis=1, keepdims=True).clip(min=LEAST))
        moved, shares = np.abs(new - shares).max(), new
        if moved < CLOSE:
            break
    return shares / shares.sum()


def _with_interval(mean: np.ndarray, draws: np.ndarray) -> Estimate:
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    return Estimate(mean, low, high)

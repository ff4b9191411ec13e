"""A linear probe: logistic regression, which reads an attribute from the features of `features.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

PENALTIES = (1.0, 10.0, 100.0, 1000.0)  # of the squared weights, tried in turn: there are more features than pictures
ITERATIONS = 200  # of L-BFGS at most
LEAST = 1e-6  # a feature's standard deviation, so that one that never varies is no division by zero


@dataclass(frozen=True)
class Probe:
    """mean and scale `(D,)` bring features to mean 0 and sd 1; weight `(D, K)` and bias `(K,)` turn them into logits of the classes."""

    classes: tuple[str, ...]
    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    def probabilities(self, features: Tensor) -> Tensor:
        """features `(n, D)` → `(n, K)` float64, each row summing to 1."""
        return (((features.double() - self.mean) / self.scale) @ self.weight + self.bias).softmax(dim=1)


def fit_probe(features: Tensor, y: Tensor, classes: Sequence[str], penalty: float) -> Probe:
    """The maximum of the penalised likelihood. features `(n, D)`, y `(n,)` places in classes."""
    x = features.double()
    mean, scale = x.mean(dim=0), x.std(dim=0, correction=0).clamp(min=LEAST)
    x = (x - mean) / scale
    weight = torch.zeros(x.shape[1], len(classes), dtype=torch.double, requires_grad=True)
    bias = torch.zeros(len(classes), dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(x @ weight + bias, y) + penalty / (2 * len(y)) * weight.square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    return Probe(tuple(classes), mean, scale, weight.detach(), bias.detach())


@dataclass(frozen=True)
class Reading:
    """How well a probe reads some pictures: share of them, mean share of each class (balanced), and mean −log probability."""

    accuracy: float
    balanced: float
    loss: float


def read(probe: Probe, features: Tensor, y: Tensor) -> Reading:
    """Of features `(n, D)` with classes y `(n,)`, of which there must be some."""
    probabilities = probe.probabilities(features)
    right = (probabilities.argmax(dim=1) == y).double()
    of_classes = [right[y == k].mean() for k in y.unique()]
    loss = -probabilities.gather(1, y[:, None]).clamp(min=LEAST).log().mean()
    return Reading(float(right.mean()), float(torch.stack(of_classes).mean()), float(loss))

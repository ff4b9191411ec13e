"""The teacher of self-training (Tarvainen & Valpola, "Mean teachers are better role models", NeurIPS 2017): the average of its student."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """Batch normalisation goes by the batch's own statistics, which are not kept, as in the teachers of DACS' and DAFormer's code.

    The running ones are the source's at first: by them a teacher reads the black sky of a night as building, and is sure of it.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    kept = [(norm.training, norm.momentum) for norm in norms]
    for norm in norms:
        norm.training, norm.momentum = True, 0.0
    try:
        yield
    finally:
        for norm, (training, momentum) in zip(norms, kept, strict=True):
            norm.training, norm.momentum = training, momentum


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, keep: float) -> None:
    """teacher ← keep · teacher + (1 − keep) · student, for weights and running statistics; counters are copied."""
    of_student = student.state_dict()
    for name, mean in teacher.state_dict().items():
        if mean.is_floating_point():
            mean.lerp_(of_student[name], 1 - keep)
        else:
            mean.copy_(of_student[name])

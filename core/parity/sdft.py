"""Vectors of SDFT's loss: for each setting of λ and γ, per sample, `{setting}_mse`, `{setting}_sd` (distillation) and `{setting}_dasd`
(auxiliary noise), from recorded ε of student and teacher. The header holds the numbers of each setting: λ_d, γ_d, λ_a, γ_a."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import Tensor

from core.methods.sdft_losses import distillation, squared_error
from core.parity.vectors import Entry, Vectors
from core.process.ddim import add_noise
from core.process.schedule import Schedule
from core.types import ShiftlabError

TERM = re.compile(r"(?P<setting>.+)_(?P<term>mse|sd|dasd)")
NUMBER = re.compile(r"\d*\.?\d+")
NUMBERS = 4  # of a setting


def compare(vectors: Vectors) -> Iterator[Entry]:
    """One entry for each recorded term, and one for x_t."""
    tensors, schedule = vectors.tensors, Schedule()
    yield Entry("x_t", tensors["x_t"], add_noise(tensors["x0"], tensors["t"].long(), tensors["noise"], schedule))
    for name, expected in sorted(tensors.items()):
        if match := TERM.fullmatch(name):
            yield Entry(name, expected, _term(match["term"], strengths(vectors.header, match["setting"]), tensors, schedule))


def strengths(header: dict[str, str], setting: str) -> list[float]:
    """λ_d, γ_d, λ_a, γ_a of a setting."""
    numbers = [float(number) for number in NUMBER.findall(header.get(setting, ""))]
    if len(numbers) != NUMBERS:
        raise ShiftlabError(f"The header does not say the four numbers of {setting!r}. Record λ_d, γ_d, λ_a and γ_a under its name.")
    return numbers


def _term(term: str, numbers: list[float], tensors: dict[str, Tensor], schedule: Schedule) -> Tensor:
    lambda_d, gamma_d, lambda_a, gamma_a = numbers
    t = tensors["t"].long()
    if term == "mse":
        return squared_error(tensors["noise"], tensors["student_eps_xt"])
    if term == "sd":
        return distillation(tensors["teacher_eps_xt"], tensors["student_eps_xt"], t, lambda_d, gamma_d, schedule)
    return distillation(tensors["teacher_eps_z"], tensors["student_eps_z"], t, lambda_a, gamma_a, schedule)

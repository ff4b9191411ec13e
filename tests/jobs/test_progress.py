"""The time that is left: neither the first slow step nor a pause may spoil it."""

from __future__ import annotations

import pytest

from core.jobs.progress import Progress, duration
from core.types import StepEvent


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def walk(durations: list[float], total: int) -> Progress:
    clock = Clock()
    progress = Progress(clock)
    for step, seconds in enumerate(durations, start=1):
        clock.now += seconds
        progress.note(StepEvent("train", step, total))
    return progress


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (8.4, "8 s"), (125, "2 min 5 s"), (120, "2 min"), (1500, "25 min"), (12_000, "3 h 20 min")]
)
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_nothing_is_said_before_there_is_a_pace() -> None:
    assert walk([30.0], 10).eta_s is None


def test_it_is_the_pace_times_the_steps_left() -> None:
    assert walk([30.0, 2.0, 2.0, 2.0], 10).eta_s == pytest.approx(12.0)


def test_slow_steps_and_pauses_do_not_count() -> None:
    assert walk([1.0, 60.0, 2.0, 2.0, 3600.0, 2.0, 2.0], 17).eta_s == pytest.approx(20.0)


def test_it_is_zero_at_the_end() -> None:
    assert walk([1.0, 1.0, 1.0], 3).eta_s == 0.0


def test_samples_take_no_part_in_the_pace() -> None:
    clock = Clock()
    progress = Progress(clock)
    for step in range(1, 5):
        clock.now += 1.0
        progress.note(StepEvent("train", step, 10))
        clock.now += 3.0
        progress.note(StepEvent("sample", step, 10))
    assert (progress.step, progress.eta_s) == (4, pytest.approx(6.0))


def test_a_preparation_is_named_and_counted_by_itself() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.note(StepEvent("invert", 3, 7))
    assert (progress.step, progress.total, progress.message) == (3, 7, "Inverting the pictures: 3 of 7.")
    clock.now += 100.0
    progress.note(StepEvent("train", 1, 10))
    assert (progress.step, progress.total, progress.message, progress.eta_s) == (1, 10, "", None)


def test_an_event_may_stand_for_a_batch_of_steps() -> None:
    clock = Clock()
    progress = Progress(clock)
    for step in (0, 8, 16):
        progress.note(StepEvent("adapt", step, 40))
        clock.now += 16.0
    assert progress.eta_s == pytest.approx(2.0 * 24)

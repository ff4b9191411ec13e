"""The lock: first come, first served; reentrant; and a preview waits for one training step, not for each of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from core.jobs.lock import GRACE, TicketLock
from tests.jobs.helpers import PATIENCE, wait_until

STEP = 0.05  # seconds of a training step; long beside what a busy machine takes to wake a thread


class Training:
    """A thread that takes the lock, works, and takes it again at once, as `with lock:` around each step does."""

    def __init__(self, lock: object) -> None:
        self.steps = 0
        self._lock, self._stop = lock, threading.Event()
        self._thread = threading.Thread(target=self._train)

    def _train(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                time.sleep(STEP)
                self.steps += 1

    def __enter__(self) -> Training:
        self._thread.start()
        while not self.steps:
            time.sleep(STEP / 4)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.parametrize("as_training", [lambda lock: lock, TicketLock.patient], ids=["plain", "patient"])
def test_who_waits_gets_it_after_at_most_one_step(as_training: Callable[[TicketLock], object]) -> None:
    lock = TicketLock()
    with Training(as_training(lock)) as training:
        waited = []
        for _ in range(5):
            before = training.steps
            with lock:
                waited.append(training.steps - before)
            time.sleep(GRACE + 2 * STEP)
    assert sorted(waited)[2] <= 1, "a step may pass between counting and asking, but not as a rule"


@pytest.mark.long
def test_a_preview_of_many_steps_waits_for_one_training_step_in_all() -> None:
    lock = TicketLock(grace=1.0)  # long, for a busy machine that runs the tests
    with Training(lock.patient()) as training:
        before = training.steps
        for _ in range(10):
            with lock:
                time.sleep(STEP / 4)
            time.sleep(STEP / 4)  # what the page does between two steps
        assert training.steps - before <= 1
        wait_until(lambda: training.steps - before >= 2)  # the training goes on afterwards


def test_the_queue_is_served_in_order() -> None:
    lock, served = TicketLock(), []
    threads = [threading.Thread(target=lambda place=place: _enter(lock, served, place)) for place in range(5)]
    with lock:
        for place, thread in enumerate(threads, start=1):
            thread.start()
            wait_until(lambda place=place: len(lock._queue) == place)
    for thread in threads:
        thread.join()
    assert served == [0, 1, 2, 3, 4]


def _enter(lock: TicketLock, served: list[int], place: int) -> None:
    with lock:
        served.append(place)


def test_it_is_reentrant_and_refuses_strangers() -> None:
    lock = TicketLock()
    with lock, lock, lock.patient():
        assert lock.held_here()
    assert not lock.held_here()
    with pytest.raises(RuntimeError, match="not held"):
        lock.release()


def test_a_thread_that_fails_inside_gives_it_back() -> None:
    lock = TicketLock()
    with pytest.raises(ValueError), lock:
        raise ValueError
    waiting = threading.Thread(target=lock.__enter__, daemon=True)
    waiting.start()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()

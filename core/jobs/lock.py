"""The one lock on the device, held for one step at a time. A preview during a training waits at most one training step.

A plain lock would not do: the training releases it and takes it again at once, before a waiting preview has woken up. So whoever waits
stands in a queue, and a release hands the lock to the first of it. That alone would let a preview of forty steps alternate with forty
training steps; therefore training takes the lock through `patient`, which lets a preview that is under way finish first.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from types import TracebackType

GRACE = 0.05  # seconds after a preview's step in which its next one is expected; between two steps it only hands a picture to the page


class TicketLock:
    """A first-come, first-served lock, reentrant in its thread. `with lock:` is its interface. grace: see GRACE."""

    def __init__(self, grace: float = GRACE) -> None:
        self._grace = grace
        self._guard = threading.Lock()
        self._queue: deque[tuple[int, threading.Event]] = deque()
        self._owner: int | None = None
        self._depth = 0
        self._patient = False  # whether the present owner came through `patient`
        self._preview_ended = float("-inf")  # monotonic seconds

    def acquire(self) -> None:
        """Waits for its turn behind all who came before."""
        me = threading.get_ident()
        with self._guard:
            if self._owner in (None, me):  # never None while somebody waits: a release hands over
                self._owner = me
                self._depth += 1
                return
            turn = threading.Event()
            self._queue.append((me, turn))
        try:
            turn.wait()
        except BaseException:  # KeyboardInterrupt: nobody may be handed a lock that nobody will release
            self._withdraw(me, turn)
            raise

    def release(self) -> None:
        """Hands the lock to the first in the queue. Raises RuntimeError in a thread that does not hold it."""
        with self._guard:
            if self._owner != threading.get_ident():
                raise RuntimeError("The lock is not held by this thread.")
            self._depth -= 1
            if self._depth:
                return
            if not self._patient:
                self._preview_ended = time.monotonic()
            self._patient = False
            self._hand_over()

    def patient(self) -> PatientLock:
        """This lock as a training takes it."""
        return PatientLock(self)

    def held_here(self) -> bool:
        """Whether the calling thread holds it."""
        return self._owner == threading.get_ident()

    def rest(self) -> float:
        """Seconds for which a patient one should still leave the lock to a preview under way."""
        return self._preview_ended + self._grace - time.monotonic()

    def mark_patient(self) -> None:
        """Called by a patient holder: its release is no preview's."""
        self._patient = True

    def _hand_over(self) -> None:
        self._owner = None
        if self._queue:
            self._owner, turn = self._queue.popleft()
            self._depth = 1
            turn.set()

    def _withdraw(self, me: int, turn: threading.Event) -> None:
        with self._guard:
            if turn.is_set():
                self._depth = 0
                self._hand_over()
            else:
                self._queue.remove((me, turn))

    def __enter__(self) -> TicketLock:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


class PatientLock:
    """A TicketLock that lets previews go first: it is kept only if no preview has used it for `grace` seconds."""

    def __init__(self, lock: TicketLock) -> None:
        self._lock = lock

    def __enter__(self) -> PatientLock:
        nested = self._lock.held_here()
        while True:
            self._lock.acquire()
            self._lock.mark_patient()
            rest = self._lock.rest()
            if nested or rest <= 0:
                return self
            self._lock.release()  # the turn came between two steps of a preview
            time.sleep(rest)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.release()

"""The table: order of the queue, and changes of state that only happen from the right state."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path

import pytest

from core.jobs.store import Job, JobStore


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    ticks = itertools.count(1)
    store = JobStore(tmp_path / "jobs.sqlite", clock=lambda: float(next(ticks)))
    for id in ("a", "b", "c"):
        store.add(id, f"job {id}", "counting", "tune", tmp_path / id, {"steps": 3})
    return store


def row(store: JobStore, id: str) -> Job:
    job = store.get(id)
    assert job is not None
    return job


def test_the_first_in_comes_first_out_with_positions(store: JobStore) -> None:
    assert [(job.id, job.position) for job in store.list()] == [("c", 3), ("b", 2), ("a", 1)]
    claimed = store.claim()
    assert claimed is not None and (claimed.id, claimed.state, claimed.position) == ("a", "running", 0)
    assert [row(store, id).position for id in "bc"] == [1, 2]


def test_a_row_holds_what_was_put_in(store: JobStore, tmp_path: Path) -> None:
    job = row(store, "a")
    assert (job.name, job.method, job.kind, job.folder, job.settings) == ("job a", "counting", "tune", tmp_path / "a", {"steps": 3})
    store.progress("a", 2, 3, 1.5, "on its way")
    job = row(store, "a")
    assert (job.step, job.total, job.eta_s, job.message, job.finished) == (2, 3, 1.5, "on its way", None)


def test_a_state_moves_only_from_where_it_is(store: JobStore) -> None:
    assert not store.move("a", ("running",), "cancelling")
    assert store.move("a", ("queued",), "cancelled", "stopped")
    job = row(store, "a")
    assert (job.state, job.message, job.resumable, job.live) == ("cancelled", "stopped", True, False)
    assert job.finished is not None


def test_a_resumed_job_goes_to_the_end(store: JobStore) -> None:
    store.move("a", ("queued",), "cancelled")
    assert store.requeue("a")
    assert not store.requeue("a")
    assert [row(store, id).position for id in "bca"] == [1, 2, 3]
    assert row(store, "a").finished is None


def test_stale_rows_become_interrupted_and_queued_ones_stay(store: JobStore) -> None:
    store.claim()
    store.claim()
    store.move("b", ("running",), "cancelling")
    assert store.interrupt_stale("gone") == 2
    assert [row(store, id).state for id in "abc"] == ["interrupted", "interrupted", "queued"]


def test_a_running_row_is_not_deleted(store: JobStore) -> None:
    store.claim()
    assert not store.delete("a")
    assert store.delete("b")
    assert store.get("b") is None


def test_readers_do_not_wait_for_the_writer(store: JobStore, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "jobs.sqlite")
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert other.execute("SELECT count(*) FROM jobs").fetchone() == (3,)

"""The worker: the queue, cancel, resume, save now, and every way in which a job may fail without taking the worker along."""

from __future__ import annotations

import errno
import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from core.jobs import worker
from core.lab import Lab
from core.types import ShiftlabError
from tests.jobs.helpers import equal, finished, submit, wait_until

ENDLESS = 100_000  # steps of a run that only ever ends by being stopped


def refuse(*given: object) -> None:
    raise PermissionError(errno.EACCES, "Permission denied")


def kill(*given: object, **more: object) -> None:
    raise KeyboardInterrupt


def test_a_run_leaves_its_edit_numbers_samples_and_log(lab: Lab) -> None:
    id = submit(lab, "by heart", steps=6)
    assert finished(lab, id) == "done"
    job = lab.get(id)
    assert (job.step, job.total, job.message, job.eta_s) == (6, 6, "", None)
    assert [row["step"] for row in lab.events(id)] == [1, 2, 3, 4, 5, 6]
    ((step, pictures),) = lab.sample_strip(id)
    assert step == 5 and [path.name for path in pictures] == ["0.png", "1.png"]
    assert Image.open(pictures[0]).size == (16, 16)
    settings = json.loads((job.folder / "settings.json").read_text())
    assert (settings["method"], settings["name"], settings["seed"], settings["settings"]["steps"]) == ("counting", "by heart", 7, 6)
    assert "Done." in (job.folder / "log.txt").read_text()
    (entry,) = lab.edits()
    assert (entry.key, entry.name, entry.usable, entry.shipped) == (f"run/{id}", "by heart", True, False)


def test_one_runs_and_the_others_wait_in_order(lab: Lab) -> None:
    first, second, third = (submit(lab, name, steps=ENDLESS, pause=0.02) for name in "abc")
    wait_until(lambda: lab.get(first).step)
    assert [(lab.get(id).state, lab.get(id).position) for id in (first, second, third)] == [("running", 0), ("queued", 1), ("queued", 2)]
    lab.cancel(second)
    assert (lab.get(second).state, lab.get(third).position) == ("cancelled", 1)
    lab.cancel(first)
    wait_until(lambda: lab.get(third).state == "running")
    assert lab.get(first).state == "cancelled"
    lab.cancel(third)
    assert finished(lab, third) == "cancelled"


@pytest.mark.long
def test_a_second_cancel_does_not_undo_the_first(lab: Lab) -> None:
    id = submit(lab, steps=ENDLESS, pause=0.02)
    wait_until(lambda: lab.get(id).step)
    with lab.lock:  # the run waits for it in its next step
        time.sleep(0.2)
        lab.cancel(id)
        lab.cancel(id)
        assert lab.get(id).state == "cancelling"
    assert finished(lab, id) == "cancelled"


@pytest.mark.long
def test_an_end_that_the_table_refused_is_written_later(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.05)
    move, refused = lab.jobs.move, []

    def once_full(id: str, states: Sequence[str], to: str, message: str = "") -> bool:
        if to == "done" and not refused:
            refused.append(id)
            raise sqlite3.OperationalError("database or disk is full")
        return move(id, states, to, message)

    monkeypatch.setattr(lab.jobs, "move", once_full)
    id, next_one = submit(lab), submit(lab)
    assert finished(lab, id) == "done" and refused == [id]
    assert finished(lab, next_one) == "done"


def test_a_cancelled_run_resumes_to_the_same_weights(lab: Lab) -> None:
    whole = submit(lab, "whole", steps=8)
    assert finished(lab, whole) == "done"
    id = submit(lab, "in two parts", steps=8, hold=3)
    wait_until(lambda: lab.get(id).step == 3)
    lab.cancel(id)
    assert lab.get(id).state in ("cancelling", "cancelled")
    assert finished(lab, id) == "cancelled"
    lab.resume(id)
    assert finished(lab, id) == "done"
    assert [row["step"] for row in lab.events(id)] == list(range(1, 9))
    assert equal(lab.load_edit(f"run/{whole}"), lab.load_edit(f"run/{id}"))


def test_save_now_saves_once(lab: Lab) -> None:
    id = submit(lab, steps=ENDLESS, pause=0.02, every=ENDLESS)
    wait_until(lambda: lab.get(id).step)
    lab.save_now(id)
    wait_until(lambda: lab.sample_strip(id))
    assert len(list((lab.get(id).folder / "checkpoints").glob("*.json"))) == 1
    lab.cancel(id)
    finished(lab, id)
    with pytest.raises(ShiftlabError, match="Only a running job"):
        lab.save_now(id)


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ("sentence", "The test wants it so. Do nothing."),
        ("disk", "The disk is full. Free some space and resume."),
        ("memory", "The device ran out of memory."),
        ("cpu memory", "The device ran out of memory."),
        ("bug", "Something unexpected went wrong (KeyError)."),
    ],
)
def test_a_failure_is_a_sentence_and_the_worker_goes_on(lab: Lab, trouble: str, message: str) -> None:
    id = submit(lab, trouble=trouble)
    next_one = submit(lab)
    assert finished(lab, id) == "failed"
    job = lab.get(id)
    assert job.message.startswith(message) and "Traceback" not in job.message and "secret" not in job.message
    assert "Traceback" in (job.folder / "log.txt").read_text()
    assert finished(lab, next_one) == "done"


@pytest.mark.long
def test_a_failed_run_resumes_once_its_cause_is_gone(lab: Lab) -> None:
    id = submit(lab, trouble="disk")
    assert finished(lab, id) == "failed"
    lab.methods["counting"].trouble = {}
    lab.resume(id)
    assert finished(lab, id) == "done"


def test_a_damaged_run_folder_fails_in_words(lab: Lab) -> None:
    id = submit(lab, trouble="disk")
    finished(lab, id)
    (lab.get(id).folder / "request.safetensors").write_bytes(b"nothing")
    lab.resume(id)
    assert finished(lab, id) == "failed"
    assert lab.get(id).message


def test_delete_takes_the_row_the_folder_and_the_edit(lab: Lab) -> None:
    id = submit(lab)
    finished(lab, id)
    folder = lab.get(id).folder
    lab.delete(id)
    assert not folder.exists() and lab.list() == [] and lab.edits() == []
    with pytest.raises(ShiftlabError, match="no longer there"):
        lab.get(id)
    with pytest.raises(ShiftlabError, match="There is no edit"):
        lab.load_edit(f"run/{id}")


def test_a_run_whose_folder_is_gone_is_deleted(lab: Lab) -> None:
    id = submit(lab)
    finished(lab, id)
    shutil.rmtree(lab.get(id).folder)
    lab.delete(id)
    assert lab.list() == []


def test_a_run_whose_folder_cannot_be_removed_stays_and_is_deleted_later(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    id = submit(lab)
    finished(lab, id)
    with monkeypatch.context() as patch, pytest.raises(ShiftlabError, match="Permission denied"):
        patch.setattr("core.jobs.runs.os.replace", refuse)
        lab.delete(id)
    assert lab.get(id).state == "done" and [entry.key for entry in lab.edits()] == [f"run/{id}"]
    lab.delete(id)
    assert lab.list() == [] and lab.edits() == []


def test_a_deletion_that_a_kill_ended_is_done_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    id = submit(lab)
    finished(lab, id)
    folder = lab.get(id).folder
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("core.jobs.runs.shutil.rmtree", kill)
        lab.delete(id)
    assert lab.edits() == []  # half a deletion offers nothing
    lab.delete(id)
    assert lab.list() == [] and list(folder.parent.iterdir()) == []


def test_a_waiting_job_is_deleted_and_never_runs(lab: Lab) -> None:
    first, waiting = submit(lab, steps=ENDLESS, pause=0.02), submit(lab)
    wait_until(lambda: lab.get(first).step)
    lab.delete(waiting)
    lab.cancel(first)
    assert finished(lab, first) == "cancelled" and [job.id for job in lab.list()] == [first]


@pytest.mark.long
def test_a_running_job_is_not_deleted_and_a_done_one_neither_resumed_nor_cancelled(lab: Lab) -> None:
    id = submit(lab, steps=ENDLESS, pause=0.02)
    wait_until(lambda: lab.get(id).step)
    with pytest.raises(ShiftlabError, match="Cancel it first"):
        lab.delete(id)
    lab.cancel(id)
    finished(lab, id)
    done = submit(lab)
    finished(lab, done)
    with pytest.raises(ShiftlabError, match="cannot be resumed"):
        lab.resume(done)
    with pytest.raises(ShiftlabError, match="nothing to cancel"):
        lab.cancel(done)


def test_closing_saves_and_the_next_lab_goes_on(open_lab: Callable[[], Lab]) -> None:
    lab = open_lab()
    id = submit(lab, steps=ENDLESS, pause=0.02, every=ENDLESS)
    waiting = submit(lab, "waiting")
    wait_until(lambda: lab.get(id).step >= 2)
    lab.close()
    lab = open_lab()
    assert lab.get(id).state == "interrupted" and lab.get(id).resumable
    assert finished(lab, waiting) == "done"
    lab.resume(id)
    wait_until(lambda: lab.get(id).state == "running" and lab.get(id).step >= 3)
    lab.cancel(id)
    finished(lab, id)
    assert not (Path(lab.get(id).folder) / "edit.safetensors").exists()

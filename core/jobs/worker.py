"""The worker: one daemon thread that takes jobs from the table, one after the other, and survives whatever happens in them."""

from __future__ import annotations

import sqlite3
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import closing

from torch import Tensor

from core.data.checkpoints import FolderCheckpoints
from core.data.edits import save_edit
from core.jobs.errors import sentence
from core.jobs.progress import Progress
from core.jobs.runs import RunFolder
from core.jobs.store import Job, JobStore
from core.jobs.tasks import Task, Tools
from core.methods.within_memory import train_within_memory
from core.models.fingerprint import fingerprints
from core.types import Context, Edit, Method, ShiftlabError, StepEvent, Stopped

ACTIVE = ("running", "cancelling")
CANCELLED = "Cancelled. It can be resumed from where it stopped."
CLOSED = "The lab was closed. It can be resumed from where it stopped."
STOPPING = "Stopping after this step."
RETRY_SECONDS = 10.0  # until the table, which refused a change, is asked again


class Worker:
    """Runs the trainings in `store`.

    context: builds a method's Context from overrides; its lock is the patient one.
    base_state: the weights that edits are saved against.
    tasks: by kind, jobs that are no training (see core/jobs/tasks.py). load_edit: an edit by its key, for them.
    """

    def __init__(
        self,
        store: JobStore,
        methods: Mapping[str, Method],
        context: Callable[..., Context],
        base_state: Callable[[], Mapping[str, Tensor]],
        tasks: Mapping[str, type[Task]],
        load_edit: Callable[[str], Edit],
    ) -> None:
        self._store, self._methods, self._context, self._base_state = store, methods, context, base_state
        self._tasks, self._load_edit = tasks, load_edit
        self._to_stop: set[str] = set()  # ids; adding, removing and asking are each one step of the interpreter
        self._to_save: set[str] = set()
        self._ended: tuple[str, str, str] | None = None  # id, state and message of a job that is over, until the table has them
        self._awake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="shiftlab-worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Says that there may be something in the queue."""
        self._awake.set()

    def cancel(self, id: str) -> bool:
        """Cancels this job and no other, whether it waits or runs; False where it does neither."""
        if self._store.move(id, ("queued",), "cancelled", CANCELLED):
            return True
        self._to_stop.add(id)
        if self._store.move(id, ACTIVE, "cancelling", STOPPING):  # again where it is told already: it must stay told
            return True
        self._to_stop.discard(id)  # it ended before it was told
        job = self._store.get(id)
        return job is not None and job.state in ("cancelling", "cancelled")

    def save_now(self, id: str) -> None:
        """Asks the running job to save its state after the present step."""
        self._to_save.add(id)

    def close(self, seconds: float = 60.0) -> None:
        """Asks the running job to save and stop, and waits for the thread; the job is then "interrupted"."""
        self._closing = True
        self._awake.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _work(self) -> None:
        while not self._closing:
            self._awake.clear()
            patience = None
            try:
                self._note_end()
                job = self._store.claim()
                if job is not None:
                    self._run(job)
                    continue
            except sqlite3.Error:  # a full disk, for one: the table says nothing then, and is asked again
                traceback.print_exc()
                patience = RETRY_SECONDS
            self._awake.wait(patience)

    def _run(self, job: Job) -> None:
        """One job to whatever end it takes."""
        folder = RunFolder(job.folder)
        state, message = "done", ""
        try:
            _log(folder, "Started.")
            if job.kind in self._tasks:
                self._perform(job, folder)
            else:
                save_edit(folder.edit, self._train(job, folder), self._base_state(), "full")
        except Stopped:
            state, message = ("cancelled", CANCELLED) if job.id in self._to_stop else ("interrupted", CLOSED)
        except Exception as error:  # whatever a method does, the worker goes on with the next job
            state, message = "failed", sentence(error)
            _log(folder, traceback.format_exc())
        _log(folder, f"{state.capitalize()}. {message}")
        self._ended = job.id, state, message
        self._note_end()

    def _note_end(self) -> None:
        """Writes how the last job ended, where that is not written yet. sqlite3.Error where the table refuses: it is still to be done."""
        if self._ended is None:
            return
        id, state, message = self._ended
        self._store.move(id, ACTIVE, state, message)
        self._ended = None
        self._to_stop.discard(id)
        self._to_save.discard(id)

    def _perform(self, job: Job, folder: RunFolder) -> None:
        """A task, which writes what comes of it by itself."""
        context, progress = self._job_context(job, folder), Progress()
        folder.note_models(fingerprints(context))
        tools = Tools(context, self._methods, self._load_edit)
        with closing(self._tasks[job.kind](**job.settings).run(folder.path, tools)) as events:
            for event in events:
                self._note(job, folder, progress, event)

    def _train(self, job: Job, folder: RunFolder) -> Edit:
        method = self._methods.get(job.method)
        if method is None:
            raise ShiftlabError(f"The method {job.method!r} of this run is not part of this lab. Start a new run with another one.")
        context = self._job_context(job, folder)
        if folder.base() and folder.base() != context.base.fingerprint:
            raise ShiftlabError(
                f"This run was begun on the base {folder.base()}, but {context.base.fingerprint} is loaded. "
                "Choose its base on the Models tab and resume."
            )
        progress = Progress()
        folder.note_models(fingerprints(context))
        with closing(train_within_memory(method, folder.request(method.train_settings), context)) as events:
            for event in events:
                if isinstance(event, Edit):
                    return event
                self._note(job, folder, progress, event)
        raise ShiftlabError("The training ended without a result. Start it again.")

    def _job_context(self, job: Job, folder: RunFolder) -> Context:
        return self._context(
            should_stop=lambda: self._closing or job.id in self._to_stop,
            save_now=lambda: self._pop_save(job.id),
            checkpoints=FolderCheckpoints(folder.checkpoints, lambda step: folder.log(f"Saved at step {step}.")),
        )

    def _note(self, job: Job, folder: RunFolder, progress: Progress, event: StepEvent) -> None:
        """Everything that the page may poll."""
        if event.numbers:
            folder.add_numbers(event)
        if event.images is not None:
            folder.add_samples(event.step, event.images)
        if event.note:
            _log(folder, event.note)
        progress.note(event)
        message = STOPPING if job.id in self._to_stop else event.note or progress.message
        self._store.progress(job.id, progress.step, progress.total, progress.eta_s, message)

    def _pop_save(self, id: str) -> bool:
        asked = id in self._to_save
        self._to_save.discard(id)
        return asked


def _log(folder: RunFolder, line: str) -> None:
    """A log that cannot be written (a full disk, a folder that is gone) must not hide the error that it would tell of."""
    try:
        folder.log(line)
    except OSError:
        print(f"{folder.path.name}: {line}")

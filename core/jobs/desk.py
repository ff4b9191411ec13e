"""What is asked about the jobs of a home by their ids, and for them: looking, stopping, going on, deleting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.jobs.runs import RunFolder
from core.jobs.store import Job, JobStore
from core.jobs.worker import CANCELLED, Worker
from core.types import ShiftlabError


class Desk:
    """jobs: the table; worker: who runs them. Every question about an id that is gone raises ShiftlabError."""

    def __init__(self, jobs: JobStore, worker: Worker) -> None:
        self.jobs, self._worker = jobs, worker

    def list(self) -> list[Job]:
        """All jobs, the newest first."""
        return self.jobs.list()

    def get(self, id: str) -> Job:
        """One job. Raises ShiftlabError when there is none of this id."""
        job = self.jobs.get(id)
        if job is None:
            raise ShiftlabError("This run is no longer there. It may have been deleted; choose another.")
        return job

    def cancel(self, id: str) -> None:
        """Stops this job, waiting or running, and no other. It can be resumed."""
        if not self._worker.cancel(id):
            raise ShiftlabError(f"The run {self.get(id).name!r} is neither waiting nor running. There is nothing to cancel.")

    def resume(self, id: str) -> None:
        """Puts a cancelled, interrupted or failed job at the end of the queue; it goes on from its last saved step."""
        if not self.jobs.requeue(id):
            raise ShiftlabError(f"The run {self.get(id).name!r} cannot be resumed: it is {self.get(id).state}. Start a new one.")
        self._worker.wake()

    def save_now(self, id: str) -> None:
        """Saves the running job's state after its present step."""
        if self.get(id).state != "running":
            raise ShiftlabError("Only a running job can be saved. Its last saved step is kept.")
        self._worker.save_now(id)

    def delete(self, id: str) -> None:
        """Removes a job with its folder and its edit, for good. The row goes last: as long as it is there, this can be done again."""
        self.jobs.move(id, ("queued",), "cancelled", CANCELLED)  # or the worker might take it meanwhile
        job = self.get(id)
        if job.live:
            raise ShiftlabError(f"The run {job.name!r} is running. Cancel it first.")
        try:
            RunFolder(job.folder).delete()
        except OSError as error:
            why = error.strerror or error
            raise ShiftlabError(f"The run {job.name!r} cannot be deleted: {why}. Check {job.folder}, and delete the run again.") from error
        self.jobs.delete(id)

    def events(self, id: str) -> list[dict[str, Any]]:
        """The numbers of each step so far, for curves: "phase", "step", "total", "time" and what the method measured."""
        return RunFolder(self.get(id).folder).numbers()

    def sample_strip(self, id: str) -> list[tuple[int, list[Path]]]:
        """(step, pictures) of the samples drawn so far."""
        return RunFolder(self.get(id).folder).sample_strip()

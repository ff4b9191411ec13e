"""What is running, in one line for the page's header."""

from __future__ import annotations

from collections.abc import Sequence

from core.jobs.fetch import Fetch
from core.jobs.progress import duration
from core.jobs.store import Job


def job_line(jobs: Sequence[Job], fetches: Sequence[Fetch]) -> str:
    """The running job, how far and how long still, how many wait, and what is being fetched; empty where nothing happens."""
    running = next((job for job in jobs if job.state in ("running", "cancelling")), None)
    waiting = sum(job.state == "queued" for job in jobs)
    fetch = next((fetch for fetch in fetches if fetch.state == "running"), None)
    parts = [
        f"{running.name}: {_how_far(running)}" if running else "",
        f"{waiting} waiting" if waiting else "",
        f"fetching {fetch.name}: {fetch.done} of {fetch.total} MB" if fetch else "",
    ]
    return ", ".join(part for part in parts if part)


def _how_far(job: Job) -> str:
    """Its step and what is left; of a job that was cancelled neither counts any more."""
    if job.state == "cancelling":
        return "stopping"
    left = f", {duration(job.eta_s)} left" if job.eta_s is not None else ""
    return f"{job.step} of {job.total}{left}" if job.total else "starting"

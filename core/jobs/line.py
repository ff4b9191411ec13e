"""What is running, in one line for the page's header."""

from __future__ import annotations

from collections.abc import Sequence

from core.jobs.fetch import Fetch
from core.jobs.store import Job


def job_line(jobs: Sequence[Job], fetches: Sequence[Fetch]) -> str:
    """The running job with its step, how many wait, and what is being fetched; empty where nothing happens."""
    running = next((job for job in jobs if job.state in ("running", "cancelling")), None)
    waiting = sum(job.state == "queued" for job in jobs)
    done = f"{running.step} of {running.total}" if running and running.total else "starting"
    fetch = next((fetch for fetch in fetches if fetch.state == "running"), None)
    parts = [
        f"{running.name}: {done}" if running else "",
        f"{waiting} waiting" if waiting else "",
        f"fetching {fetch.name}: {fetch.done} of {fetch.total} MB" if fetch else "",
    ]
    return ", ".join(part for part in parts if part)

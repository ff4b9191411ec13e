"""What the page shows of a job: state, progress, samples over time, log. Only text and HTML, from the job's row and folder."""

from __future__ import annotations

import base64
import io
import time
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

from core.data.images import decode_image
from core.data.pictures import enlarge
from core.jobs.progress import duration
from core.jobs.runs import RunFolder

COLUMNS = 8  # of the strip: the first, the last, and evenly between
SAMPLE_SIDE = 128
LOG_LINES = 200
STATES = {
    "queued": "waiting", "running": "running", "cancelling": "stopping", "cancelled": "cancelled", "interrupted": "interrupted",
    "failed": "failed", "done": "done",
}  # fmt: skip
EMPTY = (
    '<div class="blank tall"><b>No fine-tuning yet.</b> Choose a preset and press Start. '
    "Loss and samples appear here, and you may close the page meanwhile.</div>"
)


def size(bytes_: float) -> str:
    """Memory in words."""
    return f"{bytes_ / 2**30:.1f} GB" if bytes_ >= 2**30 else f"{bytes_ / 2**20:.0f} MB"


def pill(state: str) -> str:
    return f'<span class="pill is-{escape(state)}">{STATES.get(state, escape(state))}</span>'


def age(created: float) -> str:
    """When, for the eye: the time today, else the date."""
    then = time.localtime(created)
    return time.strftime("%H:%M" if then[:3] == time.localtime()[:3] else "%Y-%m-%d %H:%M", then)


def progress_html(job: Any | None) -> str:
    """Name, state, bar, how far and how long still."""
    if job is None:
        return EMPTY
    share = 100 * job.step / job.total if job.total else 0
    facts = " · ".join(_facts(job))
    tone = "message bad" if job.state in ("failed", "interrupted") else "message"
    message = f'<p class="{tone}">{escape(job.message)}</p>' if job.message else ""
    return (
        f'<div class="job is-{job.state}" data-run="{escape(job.id)}"><div class="job-head"><b>{escape(job.name)}</b>{pill(job.state)}'
        f'<span class="told">{facts}</span></div>'
        f'<div class="job-bar" role="progressbar" aria-valuenow="{share:.0f}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-label="progress"><span style="width:{share:.1f}%"></span></div>{message}</div>'
    )


def _facts(job: Any) -> list[str]:
    if job.state == "queued":
        return ["next in the queue" if job.position <= 1 else f"number {job.position} in the queue"]
    facts = [f"step {job.step} of {job.total}"] if job.total else []
    if job.state == "running" and job.eta_s is not None:
        facts.append(f"about {duration(job.eta_s)} left")
    if job.finished:
        facts.append(f"ended {age(job.finished)}")
    return facts


def samples_html(strip: list[tuple[int, list[Path]]], free: bool = False) -> str:
    """The same pictures, one a row, edited anew as the training went on: steps from left to right. free: drawn anew from the same noise."""
    columns = spread(strip, COLUMNS)
    if not columns:
        return ""
    head = "".join(f"<th scope='col'>{step}</th>" for step, _ in columns)
    rows = ""
    for place in range(max(len(paths) for _, paths in columns)):
        cells = (f'<td>{_picture(paths[place], step)}</td>' if place < len(paths) else "<td></td>" for step, paths in columns)
        rows += f"<tr>{''.join(cells)}</tr>"
    title = "Free samples as it learns" if free else "The same pictures as it learns"
    said = "Each row begins with the same noise and with no picture: these are the model's own pictures, no edits. " if free else ""
    return (
        f'<div class="samples"><h2 class="heading">{title}</h2><div class="table-wrap">'
        f'<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f'<p class="help">{said}The number above a column is the update at which it was drawn.</p></div>'
    )


def spread(items: list[Any], most: int) -> list[Any]:
    """At most `most` of the items, evenly spaced, with the first and the last."""
    if len(items) <= most:
        return items
    return [items[round(k * (len(items) - 1) / (most - 1))] for k in range(most)]


def _picture(path: Path, step: int) -> str:
    uri = data_uri(str(path), path.stat().st_mtime_ns if path.is_file() else 0)
    return f'<img src="{uri}" alt="sample at update {step}">' if uri else ""


@lru_cache(maxsize=512)
def data_uri(path: str, changed: int) -> str:
    """A small picture inside the page itself; `changed` (ns) makes a rewritten file a new one. Empty where the file is gone."""
    if not changed:
        return ""
    buffer = io.BytesIO()
    enlarge(decode_image(path), SAMPLE_SIDE).save(buffer, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def log_tail(job: Any | None) -> str:
    """The last lines of the run's log."""
    if job is None:
        return ""
    try:
        lines = RunFolder(job.folder).log_file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-LOG_LINES:])

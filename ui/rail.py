"""Steps from left to right, each with its state: what a person sees of a long story at a glance, and how they go from step to step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from core.jobs.progress import duration
from core.jobs.runs import RunFolder

WORDS = {"empty": "", "waiting": "waiting", "working": "working", "failed": "failed", "stopped": "stopped", "done": "done"}
PILLS = {"working": "running", "failed": "failed", "stopped": "interrupted", "done": "done", "waiting": "queued"}  # classes of the style
STATES = {"queued": "waiting", "running": "working", "cancelling": "working", "cancelled": "stopped", "interrupted": "stopped"}
TELL_STEP = """
element.addEventListener('click', event => {
  const step = event.target.closest('[data-step]');
  if (step) trigger('click', {step: step.dataset.step});
});
"""


@dataclass(frozen=True)
class Stage:
    """One step: state, a line about it, and how much of it is done (0 to 1)."""

    state: str = "empty"
    fact: str = ""
    share: float = 0.0


def rail_html(found: Mapping[str, Stage], chosen: str, titles: Mapping[str, str]) -> str:
    """One button a step, told to the page by its data-step."""
    items = "".join(
        _item_html(place, titles[key], key, stage, key == chosen) for place, (key, stage) in enumerate(found.items(), start=1)
    )
    return f'<ol class="rail">{items}</ol>'


def job_state(job: Any) -> str:
    """A job's state in the words of the steps."""
    return STATES.get(job.state, job.state)


def job_facts(job: Any) -> list[str]:
    """How far a job is, how fast and how long still."""
    if job.state == "queued":
        return ["next in the queue" if job.position <= 1 else f"number {job.position} in the queue"]
    facts = [f"{job.step:,} of {job.total:,}"] if job.total else []
    if job.state == "running":
        pace = pace_of(job) if job.kind in ("adapt", "generate") else None
        facts += [f"{pace:.2g} images/s"] if pace else []
        facts += [f"{duration(job.eta_s)} left"] if job.eta_s is not None else []
    return facts


def pace_of(job: Any) -> float | None:
    """Images a second, as the job said last."""
    rows = [row["images_per_s"] for row in RunFolder(job.folder).numbers() if "images_per_s" in row]
    return rows[-1] if rows else None


def _item_html(place: int, title: str, key: str, stage: Stage, chosen: bool) -> str:
    word = WORDS[stage.state]
    pill = f'<span class="pill is-{PILLS[stage.state]}">{word}</span>' if word else ""
    bar = f'<span class="job-bar"><span style="width:{100 * stage.share:.0f}%"></span></span>' if stage.state == "working" else ""
    here = ' aria-current="step"' if chosen else ""
    return (
        f'<li><button type="button" class="rail-step is-{stage.state}" data-step="{key}"{here}><span class="rail-number">{place}</span>'
        f'<span class="rail-text"><span class="rail-head"><b>{title}</b>{pill}</span>'
        f'<span class="rail-fact">{escape(stage.fact)}</span>{bar}</span></button></li>'
    )

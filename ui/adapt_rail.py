"""The steps from left to right, each with its state: what a person sees of an adaptation at a glance, and how they go from step to step."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

from core.jobs.sets import SetEntry
from ui.adapt_chain import Chain, pace_of
from ui.adapt_read import tables_of
from ui.tune_watch import duration

TITLES = {"set": "Set", "edit": "Edit", "adapt": "Adapt", "classifier": "Classifier", "report": "Report"}
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


def stages(chain: Chain, edit: str) -> dict[str, Stage]:
    """All steps by key. edit: the name of the edit that is chosen."""
    ready = chain.entry is not None and chain.entry.ready
    return {
        "set": _set(chain.entry, chain.choices.column) if chain.entry else Stage(fact="choose a labelled set"),
        "edit": Stage("done", edit) if edit else Stage(fact="choose what carries it across"),
        "adapt": _adapt(chain) if chain.adapt else Stage(fact="ready to start" if ready and edit else ""),
        "classifier": _classify(chain.classify) if chain.classify else Stage(fact="after step 3" if chain.adapt is None else ""),
        "report": _report(chain.classify),
    }


def rail_html(found: dict[str, Stage], chosen: str) -> str:
    """One button a step, told to the page by its data-step."""
    items = "".join(_item_html(place, key, stage, key == chosen) for place, (key, stage) in enumerate(found.items(), start=1))
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
        pace = pace_of(job) if job.kind == "adapt" else None
        facts += [f"{pace:.2g} images/s"] if pace else []
        facts += [f"{duration(job.eta_s)} left"] if job.eta_s is not None else []
    return facts


def _item_html(place: int, key: str, stage: Stage, chosen: bool) -> str:
    word = WORDS[stage.state]
    pill = f'<span class="pill is-{PILLS[stage.state]}">{word}</span>' if word else ""
    bar = f'<span class="job-bar"><span style="width:{100 * stage.share:.0f}%"></span></span>' if stage.state == "working" else ""
    here = ' aria-current="step"' if chosen else ""
    return (
        f'<li><button type="button" class="rail-step is-{stage.state}" data-step="{key}"{here}><span class="rail-number">{place}</span>'
        f'<span class="rail-text"><span class="rail-head"><b>{TITLES[key]}</b>{pill}</span>'
        f'<span class="rail-fact">{escape(stage.fact)}</span>{bar}</span></button></li>'
    )


def _set(entry: SetEntry, column: str) -> Stage:
    if entry.state == "running":
        told = f"{entry.done:,} of {entry.total:,} pictures" if entry.total else "opening"
        return Stage("working", told, entry.done / max(1, entry.total))
    if not entry.ready:
        return Stage("failed" if entry.state == "failed" else "stopped", entry.name)
    return Stage("done", f"{entry.name} · {column}")


def _adapt(chain: Chain) -> Stage:
    job = chain.adapt
    if job.state == "done":
        left_out = f" · {len(chain.dropped):,} dropped" if chain.dropped else ""
        return Stage("done", f"{job.total:,} pictures{left_out}")
    return Stage(job_state(job), " · ".join(job_facts(job)), job.step / max(1, job.total))


def _classify(job: Any) -> Stage:
    if job.state == "done":
        return Stage("done", _gain(job))
    return Stage(job_state(job), " · ".join(job_facts(job)), job.step / max(1, job.total))


def _gain(job: Any) -> str:
    """The accuracies that everybody waits for: on target, or on adapted pictures where there is no target set."""
    table = tables_of(job.folder)[0]
    for domain in ("target", "adapted"):
        found = {row["trained on"]: row["accuracy"] for row in table.to_dict("records") if row["tested on"] == domain}
        if {"source", "adapted"} <= set(found):
            return f"on {domain} {100 * found['source']:.1f} → {100 * found['adapted']:.1f} %"
    return "source only"


def _report(job: Any) -> Stage:
    return Stage("done", "ready to download") if job is not None and job.state == "done" else Stage()

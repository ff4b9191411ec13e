"""The steps of an adaptation, each with its state."""

from __future__ import annotations

from typing import Any

from core.jobs.sets import SetEntry
from ui.adapt_chain import Chain
from ui.adapt_read import tables_of
from ui.rail import Stage, job_facts, job_state

TITLES = {"set": "Set", "edit": "Edit", "adapt": "Adapt", "classifier": "Classifier", "report": "Report"}


def stages(chain: Chain, edit: str) -> dict[str, Stage]:
    """All steps by key. edit: the name of the edit that is chosen."""
    ready = chain.entry is not None and chain.entry.ready
    return {
        "set": _set(chain.entry, chain.choices.column) if chain.entry else Stage(fact="choose a labelled set"),
        "edit": Stage("done", edit) if ready and edit else Stage(fact=edit or "choose what carries it across"),
        "adapt": _adapt(chain) if chain.adapt else Stage(fact="ready to start" if ready and edit else ""),
        "classifier": _classify(chain.classify) if chain.classify else Stage(fact="after step 3" if chain.adapt is None else ""),
        "report": _report(chain.classify),
    }


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

"""The steps of the One-shot tab, each with its state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.adaptation.segment import FURTHEST
from core.adaptation.segment_results import segment_finished
from ui.oneshot_chain import AS_IT_WAS, Chain
from ui.oneshot_read import mious_of
from ui.rail import Stage, job_facts, job_state

TITLES = {"image": "Target image", "personalise": "Personalise", "generate": "Generate", "segment": "Segmenter"}


def stages(chain: Chain) -> dict[str, Stage]:
    """All steps by key."""
    ready = "ready to start" if chain.image is not None else ""
    return {
        "image": Stage("done", chain.choices.name) if chain.image is not None else Stage(fact="one picture of the target"),
        "personalise": _of_job(chain.personalise, used(chain)) if chain.personalise else Stage(fact=ready),
        "generate": _of_job(chain.generate, _drawn(chain)) if chain.generate else Stage(fact="prompts over a list of classes"),
        "segment": _of_job(chain.segment, gain(chain.segment)) if chain.segment else Stage(fact="source only against adapted"),
    }


def used(chain: Chain) -> str:
    """Which checkpoint is used, in words."""
    if chain.choices.step == AS_IT_WAS:
        return "not used: the model as it was"
    found = chain.checkpoint
    return f"step {found[0]:,} is used" if found else ""


def gain(job: Any) -> str:
    """The mIoU that everybody waits for: on target, or on source where no target set is labelled."""
    if job is None or not segment_finished(Path(job.folder)):
        return ""
    table = mious_of(Path(job.folder))
    for domain in ("target", "source"):
        found = {row["trained on"]: row["miou"] for row in table.to_dict("records") if row["tested on"] == domain}
        adapted = next((found[arm] for arm in FURTHEST if arm in found), None)
        if adapted is not None and "source" in found:
            return f"mIoU on {domain} {100 * found['source']:.1f} → {100 * adapted:.1f} %"
    return "one kind of segmenter"


def _drawn(chain: Chain) -> str:
    """How many pictures were asked for; the job's last count is of those that they are compared with."""
    return f"{sum(count for _, count in chain.generate.settings['table']):,} pictures" if chain.drawn is not None else ""


def _of_job(job: Any, fact: str) -> Stage:
    if job.state == "done":
        return Stage("done", fact)
    return Stage(job_state(job), " · ".join(job_facts(job)), job.step / max(1, job.total))

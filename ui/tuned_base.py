"""Another base in one click: what a training made of the loaded base is kept as a base and loaded, and what that means is said."""

from __future__ import annotations

from typing import Any

from core.data.edits import OWN
from core.jobs.export import card_of
from core.lab import Switched
from core.types import ShiftlabError
from ui.edit_show import alert
from ui.methods import about
from ui.models_show import TITLES

NEXT = " DiffusionCLIP and Asyrp now learn on it; choose pictures like its own under “Learn from” in Tune."


def makes_base(job: Any) -> bool:
    """Whether what came of a run is worth loading as a base: one that learned a target domain at every level of noise.

    Not where its weights are a network of their own, as those of a text-to-image model are.
    """
    if job is None or job.state != "done" or about(job.method).learns != "target":
        return False
    card = card_of(job)
    return card is not None and card["weights"] != OWN


def use_as_base(lab: Any, id: str) -> str:
    """Keeps what the run made of the base and loads it. Returns what came of it, or why it could not be, for the page."""
    try:
        return switched_html("base", lab.use("base", lab.keep_tuned(f"run/{id}")), NEXT)
    except ShiftlabError as error:
        return alert(str(error))


def switched_html(kind: str, change: Switched, more: str = "") -> str:
    """What a new model means for the work at hand."""
    said = f"{TITLES[kind]} is now “{change.model}”. Prompts and settings stay as they are.{more}"
    if kind != "base" or not change.lost:
        return alert(said, calm=True)
    names = ", ".join(f"“{name}”" for name in change.lost)
    several = len(change.lost) > 1
    return alert(
        f"{said} {'The edits' if several else 'The edit'} {names} {'belong' if several else 'belongs'} to the base before, and cannot be "
        "used until it is loaded again; fine-tune anew for this one."
    )

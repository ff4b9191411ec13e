"""Edits that a comparison trains: each under a name that says all it depends on, trained once, or gone on with after a stop.

One of them may become an example of the lab, with its numbers on its card.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from core.data.checkpoints import FolderCheckpoints
from core.data.edits import OWN, load_edit, save_edit
from core.methods import METHODS
from core.types import Context, Edit, StepEvent, TrainRequest

SHOWN_ONLY = {"sample_every", "sample_steps", "epochs"}  # settings that change what is seen, or when it ends, and not the way there


def stem_of(work: Path, name: str, request: TrainRequest, context: Context, *facts: object, ends: bool = True) -> Path:
    """`<work>/<name>-<hash>`. facts: of the pictures, which are too many to hash. ends: whether the count of updates is part of it."""
    settings = request.settings.model_dump(exclude=SHOWN_ONLY - ({"epochs"} if ends else set()))
    clip = context.clip.fingerprint if "target_prompt" in settings else ""
    said = json.dumps([settings, request.seed, context.base.fingerprint, clip, *map(str, facts)])
    return work / f"{name}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"


def kept_edit(stem: Path, request: TrainRequest, context: Context) -> Edit:
    """The edit in `<stem>.safetensors`, trained first, or gone on with, where it is not there."""
    path = stem.with_suffix(".safetensors")
    if not path.exists():
        for event in METHODS[request.settings.method].train(request, replace(context, checkpoints=FolderCheckpoints(stem))):
            if isinstance(event, Edit):
                save_edit(path, event, context.base.state_dict(), "half")
            elif isinstance(event, StepEvent) and event.phase == "sample":
                print(f"{stem.name} {event.step}/{event.total} {event.numbers}", flush=True)
    return load_edit(path, context.base.state_dict())


def ship(path: Path, edit: Edit, name: str, metrics: dict[str, float], note: str, context: Context) -> None:
    """The edit as an example of the lab, in the least space: eight bits of what differs from the base, half precision of a network."""
    card = edit.card.model_copy(update={"name": name, "metrics": {**edit.card.metrics, **metrics}, "note": note})
    half = card.weights == OWN
    weights = {key: value.half() if half and value.is_floating_point() else value for key, value in edit.weights.items()}
    save_edit(path, Edit(card, weights), context.base.state_dict(), "eight_bit")

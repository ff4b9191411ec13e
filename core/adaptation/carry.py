"""Classifiers of an earlier comparison that a new one need not train again: the same pictures, settings and seed make the same network."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from core.adaptation.classify import PHASE, classifier_file, prediction_file
from core.data.linked import linked
from core.jobs.runs import RunFolder
from core.types import StepEvent


def take_over(earlier: Path, folder: Path, runs: list[tuple[str, int]], epochs: int, but: Collection[str] = ()) -> list[tuple[str, int]]:
    """Copies what is finished in `earlier` of these (arm, seed) into `folder`, its curves too, and returns what was copied.

    epochs: of one classifier, so that its steps are counted as if it had been trained here; but: arms to leave.
    """
    taken = []
    rows = RunFolder(earlier).numbers()
    for path in (earlier / "pixels").glob("*.npy"):
        linked(path, folder / "pixels" / path.name)
    for place, (arm, seed) in enumerate(runs):
        said = prediction_file(earlier, arm, seed)
        if arm in but or not said.is_file() or prediction_file(folder, arm, seed).is_file():
            continue
        for row in rows:
            if row["phase"] == PHASE.format(arm) and row["seed"] == seed:
                numbers = {name: value for name, value in row.items() if name not in ("phase", "step", "total", "time")}
                event = StepEvent(row["phase"], place * epochs + int(row["epoch"]), len(runs) * epochs, numbers)
                RunFolder(folder).add_numbers(event)
        linked(classifier_file(earlier, arm, seed), classifier_file(folder, arm, seed))
        linked(said, prediction_file(folder, arm, seed))  # last: where it is, this classifier is finished
        taken.append((arm, seed))
    return taken

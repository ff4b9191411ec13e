"""Shares of a target as a job: `lab.start(SharesTask(…), name)`, then `rebalanced_by` makes the set to go on with, at once.

task = SharesTask(index=index, target=target_index, columns=("glasses",), adapted=None)
table = read_shares(lab.get(lab.start(task, "Shares")).folder)
rebalanced_by(index, table, "smiling", out)       # out: index of the rebalanced set; out.with_suffix(".csv"): the manifest
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pandas as pd

from core.adaptation.adapt import adapted_set
from core.adaptation.rebalance import How, Shares, shares_in, write_rebalanced
from core.adaptation.shares import ShareSettings, Survey, shares_of, survey
from core.data.labelled import LabelledSet, load_set
from core.jobs.tasks import Task, Tools
from core.types import StepEvent


class SharesTask(Task):
    """The shares of some label columns' values in a target; the tables lie in the run's folder (`read_shares`, `read_levels`).

    index: of the labelled source; target: index of pictures, labelled or not; adapted: folder of an adapted set to learn from as well.
    """

    kind: ClassVar[str] = "shares"
    index: Path
    target: Path
    columns: tuple[str, ...]
    adapted: Path | None = None
    settings: ShareSettings = ShareSettings()

    def run(self, folder: Path, tools: Tools) -> Iterator[StepEvent]:
        adapted = adapted_set(self.adapted) if self.adapted is not None else None
        question = Survey(load_set(self.index), load_set(self.target), self.columns, adapted)
        yield from survey(question, self.settings, folder, tools.context)

    def truth(self) -> Shares:
        """What the target's own labels say of the columns, where it has any; the job does not look at them."""
        target = load_set(self.target)
        found = {name: shares_in(target.items, target.column(name)) for name in self.columns if name in target.columns}
        return {name: values for name, values in found.items() if values}


def rebalanced_by(
    index: Path, table: pd.DataFrame, label: str, out: Path, way: str = "em", how: How = "resample", seed: int = 0
) -> LabelledSet:
    """The set of `index` with a training split that has the shares of `read_shares`' table, saved as an index at `out` (.jsonl).

    way: plain, adjusted or em; how: subsample or resample; label: the column to be learned, whose classes keep their shares unless the
    table has some for it. See `rebalanced` for errors.
    """
    return write_rebalanced(load_set(index), shares_of(table, way), label, out, how, seed)

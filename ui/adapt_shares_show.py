"""What is told of shares that were estimated without labels: a table with bars, how far the probe can be trusted, and what rebalancing to
them takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import get_args

import pandas as pd

from core.adaptation.quantify import WAYS
from core.adaptation.rebalance import How, Shares, rebalanced
from core.adaptation.shares import ADAPTED, SOURCE
from core.data.labelled import LabelledSet
from core.types import ShiftlabError
from ui.edit_show import alert

BEST = "em"  # the way that is shown first
WAY_NAMES = {"em": "most likely (em)", "adjusted": "adjusted count", "plain": "plain count"}
HOW_NAMES = {"resample": "resample: as many as before", "subsample": "subsample: nobody twice"}
READABLE = 0.5  # of the way from guessing to never erring; a probe below that reads too little to be counted with
MEASURED = "(benchmarks/shift.md)"


@dataclass(frozen=True)
class Estimated:
    """A finished estimate. shares, levels: its tables; target: whose shares they are; truth: those that the target's labels tell.

    held: validation pictures that a column's level was chosen on; twins: whether the probe learned from adapted pictures as well, and
    more: whether there are any that it could learn from.
    """

    shares: pd.DataFrame
    levels: pd.DataFrame
    target: str
    truth: Shares = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)
    twins: bool = False
    more: bool = False

    @property
    def judge(self) -> str:
        """The pictures that levels were chosen on."""
        return ADAPTED if self.twins else SOURCE

    def chosen(self) -> pd.DataFrame:
        """The levels that were chosen, a row a column."""
        return self.levels[self.levels["chosen"]]


def estimate_html(found: Estimated) -> str:
    """Everything, the table first."""
    levels = "".join(f'<p class="help">{level_sentence(found, row)}</p>' for row in found.chosen().to_dict("records"))
    words = "".join(alert(sentence, calm) for calm, sentence in verdicts(found))
    return (
        f'<h2 class="heading">What “{escape(found.target)}” is made of</h2>{table_html(found)}{levels}'
        f'<div class="verdicts">{words}</div>{_details_html(found)}'
    )


def table_html(found: Estimated) -> str:
    """A row a value: its share in the set, its estimated share with interval and bar, and the true one where it is known."""
    heads = ["", "", "in the set", "in the target, estimated", ""] + (["in truth"] if found.truth else [])
    rows, last = "", None
    for row in found.shares.to_dict("records"):
        truth = found.truth.get(row["column"], {}).get(row["value"], 0.0) if row["column"] in found.truth else None
        told = f"<td>{percent(truth)}</td>" if truth is not None else "<td></td>" if found.truth else ""
        rows += (
            f'<tr><th scope="row">{escape(row["column"]) if row["column"] != last else ""}</th><td>{escape(row["value"])}</td>'
            f"<td>{percent(row[SOURCE])}</td><td>{_interval(row, BEST)}</td><td>{_bar_html(row, truth)}</td>{told}</tr>"
        )
        last = row["column"]
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    ring = ", the ring the truth" if found.truth else ""
    marks = f"the band is the 95 % interval, the thick mark the estimate, the grey one the set{ring}"
    return (
        f'<div class="table-wrap"><table class="facts numbers-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f'<p class="help">Percent. In the bars, from 0 to 100, {marks}.</p>'
    )


def level_sentence(found: Estimated, row: Mapping[str, object]) -> str:
    """At which level a column is read, and how well."""
    on = f"{found.held[row['column']]:,} {found.judge}" if row["column"] in found.held else found.judge
    tried = (found.levels["column"] == row["column"]).sum()
    return (
        f"<b>{escape(str(row['column']))}</b> is read at noise level t = {row['level']}, the best of {tried} on {on} validation pictures: "
        f"{percent(row[f'{found.judge} accuracy'])} % of them right, {percent(row[f'{found.judge} balanced'])} % as the mean of classes."
    )


def verdicts(found: Estimated) -> list[tuple[bool, str]]:
    """(whether it is good news, a sentence) on how far the probe can be trusted."""
    told = [_learned(found)]
    for row in found.chosen().to_dict("records"):
        classes, balanced = len(found.shares[found.shares["column"] == row["column"]]), row[f"{found.judge} balanced"]
        if balanced - 1 / classes < READABLE * (1 - 1 / classes):
            told.append((False, f"{row['column']} is read little better than by guessing. Do not go by its shares."))
    return [*told, *(_against_truth(found, column) for column in found.truth)]


def plan_html(labelled: LabelledSet, shares: Shares, label: str) -> str:
    """How many training pictures either way of rebalancing takes; a sentence where it cannot be done."""
    words = []
    for how in get_args(How):
        try:
            items = rebalanced(labelled, shares, label, how).split("train")
        except ShiftlabError as error:
            words.append(f"{how.capitalize()}: {error}")
            continue
        different = len({item.name for item in items})
        repeated = f", made of {different:,} different ones" if different < len(items) else ""
        words.append(f"{how.capitalize()}: {len(items):,} training pictures{repeated}.")
    words.insert(0, f"Now: {len(labelled.split('train')):,} training pictures.")
    kept = f" Every class of {label} keeps its share." if label not in shares else ""
    return f'<p class="help">{escape(" ".join(words) + kept)}</p>'


def percent(share: object) -> str:
    return f"{100 * float(share):.1f}"


def _learned(found: Estimated) -> tuple[bool, str]:
    """What the probe saw decides most."""
    if found.twins:
        return True, (
            "The probe learned from adapted pictures as well, and its level was chosen on them. Where this was measured it came close to "
            f"the truth, though an interval may miss it by some points {MEASURED}. The shares are as good as the edit is."
        )
    todo = "Tick “Learn from the adapted pictures too”, and estimate again." if found.more else (
        "Carry the set across in step 3 first; the adapted pictures can be learned from then."
    )  # fmt: skip
    return False, (
        "The probe saw source pictures only, and how it reads those says nothing of the target: measured, such a probe erred by far, and "
        f"its interval did not know {MEASURED}. {todo}"
    )


def _against_truth(estimated: Estimated, column: str) -> tuple[bool, str]:
    """Whether the intervals hold what the target's own labels say."""
    rows = estimated.shares[estimated.shares["column"] == column].to_dict("records")
    truth = {row["value"]: estimated.truth[column].get(row["value"], 0.0) for row in rows}
    if all(row[f"{BEST}_low"] <= truth[row["value"]] <= row[f"{BEST}_high"] for row in rows):
        return True, f"The target's own labels agree: the intervals of {column} hold the truth."
    worst = max(rows, key=lambda row: abs(row[BEST] - truth[row["value"]]))
    true = truth[worst["value"]]
    off = percent(abs(worst[BEST] - true))
    found = f"{column} = {worst['value']} is {percent(true)} %, {off} points from the estimate"
    return False, f"The target's own labels say otherwise: {found}."


def _bar_html(row: Mapping[str, float], truth: float | None) -> str:
    low, high = row[f"{BEST}_low"], row[f"{BEST}_high"]
    ring = f'<i class="true" style="left:{percent(truth)}%"></i>' if truth is not None else ""
    return (
        f'<span class="share-bar" aria-hidden="true"><i class="between" style="left:{percent(low)}%;width:{percent(high - low)}%"></i>'
        f'<i class="was" style="left:{percent(row[SOURCE])}%"></i><i class="at" style="left:{percent(row[BEST])}%"></i>{ring}</span>'
    )


def _interval(row: Mapping[str, float], way: str) -> str:
    return f'<b>{percent(row[way])}</b> <small>{percent(row[f"{way}_low"])} … {percent(row[f"{way}_high"])}</small>'


def _details_html(found: Estimated) -> str:
    """All three estimates, and every level that was tried."""
    shares = [[f"{row['column']} = {row['value']}", *(_interval(row, way) for way in WAYS)] for row in found.shares.to_dict("records")]
    read = {name: f"right on {name} pictures" for name in (SOURCE, ADAPTED) if f"{name} accuracy" in found.levels}
    levels = [
        [f"{row['column']}, t = {row['level']}{' (chosen)' if row['chosen'] else ''}", *(percent(row[f"{name} accuracy"]) for name in read)]
        for row in found.levels.to_dict("records")
    ]
    return (
        '<details class="settings"><summary>Other estimates, and every level</summary><div class="table-wrap">'
        f'{_rows_html(["share", *(WAY_NAMES[way] for way in WAYS)], shares)}{_rows_html(["level", *read.values()], levels)}</div></details>'
    )


def _rows_html(heads: list[str], rows: list[list[str]]) -> str:
    """A table whose first column is text, the others ready HTML."""
    head = "".join(f"<td>{name}</td>" for name in heads)
    body = "".join(f"<tr><td>{escape(first)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for first, *cells in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

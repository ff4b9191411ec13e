"""The numbers of the segmenters as people read them: mIoU with intervals, gains over source only, the published gain beside."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from core.adaptation.figures import COLOURS, NAMES, TESTS
from core.adaptation.segment import FURTHEST
from core.adaptation.segment_report import PUBLISHED
from ui.numbers import number
from ui.oneshot_read import gains_of, mious_of


def segment_tables_html(folder: Path) -> str:
    """The verdict, then a row an arm and a column a domain: mIoU, and what it gains."""
    table, gains = mious_of(folder), gains_of(folder)
    seeds, pictures = int(table["seeds"].max()), int(table["pictures"].max())
    said = (
        f'<p class="help">Mean over {seeds} seed{"s" if seeds > 1 else ""} on {pictures:,} test pictures, with the 95 % interval over '
        "both. Gains are over “source only”, on the same draws.</p>"
    )
    return f'<h2 class="heading">{verdict(table)}</h2>{rows_html(table, gains)}{said}<p class="help published">{escape(PUBLISHED)}</p>'


def verdict(table: pd.DataFrame) -> str:
    """What adapting was worth, on the target where it is labelled, and against the control."""
    found = {(row["trained on"], row["tested on"]): 100 * row["miou"] for row in table.to_dict("records")}
    for domain in ("target", "source"):
        arm = next((arm for arm in FURTHEST if (arm, domain) in found), "")
        if arm and ("source", domain) in found:
            before, after = found["source", domain], found[arm, domain]
            beside = arm != "one_shot" and ("one_shot", domain) in found
            control = f"; the one image alone reaches {found['one_shot', domain]:.1f} %" if beside else ""
            gained = number(after - before, "+.1f")
            return f"mIoU {TESTS[domain]} goes from {before:.1f} to {after:.1f} %, {gained} points, with {NAMES[arm]}{control}."
    return "mIoU of what is finished"


def rows_html(table: pd.DataFrame, gains: pd.DataFrame) -> str:
    """mIoU and gain in percent and points."""
    domains = list(dict.fromkeys(table["tested on"]))
    more = {(row["trained on"], row["tested on"]): row for row in gains.to_dict("records")}
    heads = "".join(f'<th scope="col">{escape(TESTS[domain])}</th><th scope="col">gain</th>' for domain in domains)
    rows = ""
    for arm in dict.fromkeys(table["trained on"]):
        found = {row["tested on"]: row for row in table.to_dict("records") if row["trained on"] == arm}
        cells = "".join(
            f"<td>{_number(found.get(domain), 'miou')}</td><td>{_number(more.get((arm, domain)), 'gain')}</td>" for domain in domains
        )
        rows += f'<tr><th scope="row"><span class="dot" style="background:{COLOURS[arm]}"></span>{escape(NAMES[arm])}</th>{cells}</tr>'
    head = f'<thead><tr><th scope="col">mIoU, %</th>{heads}</tr></thead>'
    return f'<div class="table-wrap"><table class="facts numbers-table">{head}<tbody>{rows}</tbody></table></div>'


def _number(row: dict[str, Any] | None, what: str) -> str:
    if row is None:
        return ""
    sign = "+" if what == "gain" else ""
    low, high = (number(100 * row[end], ".1f") for end in ("low", "high"))
    return f"<b>{number(100 * row[what], f'{sign}.1f')}</b> <small>{low} … {high}</small>"

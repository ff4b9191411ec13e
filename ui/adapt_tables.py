"""The numbers of a comparison as people read them: accuracies with intervals, gains with McNemar's test, the published curve beside."""

from __future__ import annotations

from html import escape

import pandas as pd

from core.adaptation.figures import COLOURS, NAMES, TESTS
from core.adaptation.report import PUBLISHED, doubts
from ui.edit_show import alert
from ui.numbers import number

PUBLISHED_HTML = (
    '<p class="help published"><b>Published</b> (faces of 256 pixels, trained on 1,200, target test from the same generator): '
    f"on target {100 * PUBLISHED['source']['target']:.1f} → {100 * PUBLISHED['adapted']['target']:.1f} %, "
    f"on source {100 * PUBLISHED['source']['source']:.1f} → {100 * PUBLISHED['adapted']['source']:.1f} %, "
    "from training on source only to training on adapted pictures.</p>"
)


def tables_html(accuracies: pd.DataFrame, comparisons: pd.DataFrame) -> str:
    """A row an arm, a column a domain."""
    gains = _table(comparisons, _gain) if len(comparisons) else ""
    help_ = '<p class="help">Points over “source only”, 95 % interval; p of McNemar\'s exact test, the largest over the seeds.</p>'
    seeds = int(accuracies["seeds"].max())
    said = f'<p class="help">Mean over {seeds} seed{"s" if seeds > 1 else ""}, with the 95 % interval over seeds and test pictures.</p>'
    doubted = "".join(alert(sentence, calm=True) for sentence in doubts(accuracies))
    return (
        f'<h2 class="heading">Accuracy, %</h2>{_table(accuracies, _accuracy)}{said}{doubted}'
        + (f'<h2 class="heading">Against source only, points</h2>{gains}{help_}' if gains else "")
    )  # fmt: skip


def _table(table: pd.DataFrame, cell: object) -> str:
    domains = list(dict.fromkeys(table["tested on"]))
    heads = "".join(f'<th scope="col">{escape(TESTS[domain])}</th>' for domain in domains)
    rows = ""
    for arm in dict.fromkeys(table["trained on"]):
        found = {row["tested on"]: row for row in table.to_dict("records") if row["trained on"] == arm}
        cells = "".join(f"<td>{cell(found[domain]) if domain in found else ''}</td>" for domain in domains)
        rows += f'<tr><th scope="row"><span class="dot" style="background:{COLOURS[arm]}"></span>{escape(NAMES[arm])}</th>{cells}</tr>'
    head = f'<thead><tr><th scope="col">trained on</th>{heads}</tr></thead>'
    return f'<div class="table-wrap"><table class="facts numbers-table">{head}<tbody>{rows}</tbody></table></div>'


def _accuracy(row: dict) -> str:
    return f"<b>{100 * row['accuracy']:.1f}</b> {_interval(row)}"


def _gain(row: dict) -> str:
    return f"<b>{number(100 * row['gain'], '+.1f')}</b> {_interval(row)} <small>p = {row['p']:.2g}</small>"


def _interval(row: dict) -> str:
    return f"<small>{number(100 * row['low'], '.1f')} … {number(100 * row['high'], '.1f')}</small>"

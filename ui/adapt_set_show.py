"""What is told of a labelled set: counts a class and split, a few pictures of each class, and everything that was left out."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from pathlib import Path

from core.data.labelled import SPLIT_NAMES, LabelledImage, LabelledSet, Report
from core.jobs.sets import SetEntry
from core.types import ShiftlabError
from ui.adapt_read import index_of, small

EACH = 4  # pictures of a class
MOST_CLASSES = 6
LISTED = 50  # files that were left out
NO_SET = (
    '<div class="blank tall"><b>No labelled set yet.</b> Drop a ZIP of class folders, with a metadata.csv, or with CelebA\'s '
    "attribute list; or draw portraits, whose labels are known.</div>"
)


def reading_html(entry: SetEntry) -> str:
    """A set that is not there yet, or could not be read."""
    if entry.state != "running":
        return f'<div class="job is-failed"><div class="job-head"><b>{escape(entry.name)}</b><span class="pill is-failed">{entry.state}' \
               f'</span></div><p class="message bad">{escape(entry.message)}</p></div>'  # fmt: skip
    share = 100 * entry.done / entry.total if entry.total else 0
    told = f"{entry.done:,} of {entry.total:,} pictures" if entry.total else "opening"
    return (
        f'<div class="job is-running"><div class="job-head"><b>{escape(entry.name)}</b><span class="pill is-running">working</span>'
        f'<span class="told">{told}</span></div><div class="job-bar"><span style="width:{share:.1f}%"></span></div></div>'
    )


def set_html(name: str, index: Path, column: str) -> str:
    """A set that was read and split."""
    labelled = index_of(index)
    classes = labelled.classes(column)
    several = f", {len(labelled.columns)} label columns" if len(labelled.columns) > 1 else ""
    head = f'<h2 class="heading">{escape(name)}<span class="count">{len(labelled):,} pictures</span></h2>'
    layout = f'<p class="help">Layout: {escape(labelled.report.layout)}{several}. Counted by <b>{escape(column)}</b>.</p>'
    return head + layout + counts_html(labelled, column, classes) + _pictures_html(index, column) + left_out_html(labelled.report)


def counts_html(labelled: LabelledSet, column: str, classes: list[str]) -> str:
    """A row a class, a column a split."""
    counts = labelled.counts(column)
    unlabelled = sum(count for (_, label), count in counts.items() if not label)
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("", *SPLIT_NAMES, "all"))
    rows = ""
    for label in classes:
        of_splits = [counts.get((split, label), 0) for split in SPLIT_NAMES]
        whole = sum(count for (_, there), count in counts.items() if there == label)
        cells = "".join(f"<td>{count:,}</td>" for count in (*of_splits, whole))
        rows += f'<tr><th scope="row">{escape(label)}</th>{cells}</tr>'
    note = f'<p class="help">{unlabelled:,} pictures have no label in this column and take no part.</p>' if unlabelled else ""
    return f'<div class="table-wrap"><table class="facts counted"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{note}'


@lru_cache(maxsize=8)
def _pictures_html(index: Path, column: str) -> str:
    labelled, rows = index_of(index), ""
    place = labelled.column(column)
    for label in labelled.classes(column)[:MOST_CLASSES]:
        of_label = {item.name: item for item in labelled.items if item.labels[place] == label}  # a rebalanced set has some several times
        items = list(of_label.values())[:EACH]
        pictures = "".join(f'<img src="{uri}" alt="{name}" title="{name}">' for name, uri in _small(labelled, items))
        rows += f'<figure><div class="few">{pictures}</div><figcaption>{escape(column)}: {escape(label)}</figcaption></figure>'
    return f'<div class="classes">{rows}</div>'


def _small(labelled: LabelledSet, items: list[LabelledImage]) -> list[tuple[str, str]]:
    found = []
    for item in items:
        try:
            found.append((escape(item.name), small(labelled.picture(item))))
        except (ShiftlabError, OSError):  # the file has gone since; its row says so when it is needed
            continue
    return found


def left_out_html(report: Report) -> str:
    report = report
    notes = "".join(f'<p class="help">{escape(note)}</p>' for note in report.notes)
    if not report.left_out:
        return notes
    reasons = " · ".join(f"{count:,} × {escape(why)}" for why, count in report.reasons())
    lines = "".join(f"<li><b>{escape(name)}</b> {escape(why)}</li>" for name, why in report.left_out[:LISTED])
    more = len(report.left_out) - LISTED
    lines += f"<li>and {more:,} more</li>" if more > 0 else ""
    word = "1 file was" if len(report.left_out) == 1 else f"{len(report.left_out):,} files were"
    return f'{notes}<details class="settings left-out"><summary>{word} left out: {reasons}</summary><ul>{lines}</ul></details>'

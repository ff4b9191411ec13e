"""What the Adapt tab says: the rail, a set, the prompts of an audit, the numbers of a comparison."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from core.adaptation.audit import AuditSettings
from core.adaptation.decisions import Decisions, read_decisions
from core.data.labelled_files import LeftOut
from core.jobs.sets import SetEntry
from core.types import ShiftlabError
from tests.adaptation.helpers import split_set
from tests.ui.adapt_lab import Row
from ui.adapt_audit import read_prompts, said_html
from ui.adapt_chain import Chain
from ui.adapt_rail import TITLES, stages
from ui.adapt_report import verdict
from ui.adapt_set_show import reading_html, set_html
from ui.adapt_tables import PUBLISHED_HTML, tables_html
from ui.job_line import line_html
from ui.rail import rail_html

TABLE = pd.DataFrame({"name": ["a", "b", "c"], "classifier": [0.1, 0.4, 0.9], "clip": [0.2, 0.9, 0.9], "identity": [0.9, 0.9, 0.1]})


def test_every_state_of_every_step_has_its_words(tmp_path):
    reading = SetEntry("id", "my <b>set</b>", "running", 40, 100)
    job = Row("run", "set → sketch", "adapt", {}, tmp_path, "running", 5, 20, 65.0)
    words = rail_html(stages(Chain(reading), ""), "set", TITLES)
    assert "40 of 100 pictures" in words and words.count("<li>") == 5 and 'aria-current="step"' in words
    ready = Chain(replace(reading, state="done"), adapt=job)
    assert "5 of 20 · 1 min 5 s left" in rail_html(stages(ready, "sketch"), "adapt", TITLES)
    assert "<b>set" not in rail_html(stages(ready, ""), "set", TITLES)
    for state, word in (("queued", "waiting"), ("failed", "failed"), ("interrupted", "stopped"), ("done", "done")):
        job.state = state
        assert f">{word}<" in rail_html(stages(ready, "sketch"), "adapt", TITLES) and f">{word}<" in line_html(job)
    failed = reading_html(replace(reading, state="failed", message="No ZIP. Bring another."))
    assert "No ZIP" in failed and "<b>set" not in failed


def test_a_set_tells_its_counts_and_what_was_left_out(tmp_path):
    labelled = split_set(tmp_path / "in", 5)
    report = replace(labelled.report, left_out=tuple(LeftOut(f"{k}.png", "an empty file") for k in range(60)))
    html = set_html("faces", replace(labelled, report=report).save(tmp_path / "set.jsonl"), "class")
    assert "10 pictures" in html and html.count("<img") == 8 and "<td>5</td>" in html
    assert "60 files were left out: 60 × an empty file" in html and "and 10 more" in html


def test_prompts_are_one_line_a_label():
    assert read_prompts(" no = a dark one \nyes=a bright = one\n", ["no", "yes"]) == {"no": "a dark one", "yes": "a bright = one"}
    assert read_prompts("  \n", ["no", "yes"]) == {}
    for text in ("no = x", "no = x\nyes =", "no = x\nyes = y\nperhaps = z"):
        with pytest.raises(ShiftlabError, match="no = …, yes = …"):
            read_prompts(text, ["no", "yes"])


def test_decisions_are_kept_beside_the_audit(tmp_path):
    decided = Decisions().turned("b", TABLE)
    assert decided.names(TABLE) == ("a", "b") and decided.turned("b", TABLE) == Decisions()
    decided = decided.turned("a", TABLE)
    assert decided.names(TABLE) == ("b",) and decided.spared == ("a",)
    decided.save(tmp_path)
    assert read_decisions(tmp_path) == decided and read_decisions(tmp_path / "nothing") == Decisions()
    assert "1</b> of 3" in said_html(decided, TABLE) and "1 with 2 votes" in said_html(decided, TABLE)
    assert "3</b> of 3" in said_html(Decisions(settings=AuditSettings(votes=1)), TABLE)


def test_numbers_stand_with_their_intervals():
    row = {"tested on": "target", "sd": 0.0, "seeds": 3, "pictures": 300, "one_answer": 0.51}
    table = pd.DataFrame([
        {**row, "trained on": "source", "accuracy": 0.61, "low": 0.55, "high": 0.66},
        {**row, "trained on": "adapted", "accuracy": 0.87, "low": 0.83, "high": 0.90},
    ])  # fmt: skip
    gains = pd.DataFrame([
        {"trained on": "adapted", "against": "source", "tested on": "target", "gain": 0.26, "low": 0.2, "high": 0.3, "p": 1e-9}
    ])  # fmt: skip
    html = tables_html(table, gains)
    assert "87.0" in html and "83.0 … 90.0" in html and "+26.0" in html and "p = 1e-09" in html
    assert "has not learned" not in html
    assert verdict(table) == "On true target pictures, accuracy goes from 61.0 to 87.0 %, +26.0 points."
    assert "59.3 → 87.0" in PUBLISHED_HTML and "89.0 → 71.0" in PUBLISHED_HTML

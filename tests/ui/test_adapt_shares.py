"""Shares without labels in step 1 of the Adapt tab: counted by a job on a tiny base, told with what they are worth, rebalanced to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from core.adaptation.jobs import TASKS, ClassifyTask, in_foreground
from core.adaptation.quantify import WAYS
from core.adaptation.share_jobs import SharesTask
from core.data.labelled import load_set, read_set
from core.jobs.sets import READ
from core.jobs.tasks import Tools
from core.methods import METHODS
from core.models.base import load_base
from core.types import Context
from tests.adaptation.helpers import write_set
from tests.jobs.helpers import wait_until
from tests.jobs.test_sets import restarted, zipped
from tests.tiny import write_models
from tests.ui.adapt_lab import Row, adapt_tab, carry, put_set
from tests.ui.test_adapt_tab import Guest, with_chain
from ui.adapt_shares_show import Estimated, estimate_html, plan_html, verdicts

COUNT = 20


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    base = load_base(write_models(tmp_path_factory.mktemp("checkpoints")) / "base", dtype=torch.float32)
    return Tools(Context(base), METHODS, lambda key: None)


@pytest.fixture
def guest(tmp_path):
    """A visitor with a set of two classes, and a true target of which three in four are bright."""
    tab = adapt_tab(tmp_path / "home")
    put_set(tab.shelf, tmp_path / "in", COUNT)
    target = write_set(tmp_path / "target", COUNT, seed=9)
    for path in sorted((target / "no").iterdir())[: 2 * COUNT // 3]:
        path.unlink()
    tab.shelf.derive("faces", "bright", "bright faces", lambda out: read_set(target).save(out))
    tab.shelf.choose("faces")
    found = Guest(tab)
    assert found.seen.set == "faces"
    return found


@pytest.fixture
def part(guest):
    return guest.tab.set.shares


def ask(guest, tools):
    """Presses the button, and does what the worker would."""
    part = guest.tab.set.shares
    guest.does(with_chain(guest, part.start))
    assert guest.told == "", guest.told
    row = guest.tab.lab.rows[0]
    for event in in_foreground(SharesTask(**row.settings), Path(row.folder), row.name, tools):
        row.state, row.step, row.total = "running", event.step, event.total
    row.state = "done"
    guest.looks()
    return row


def test_every_bad_start_is_a_sentence(guest, part):
    assert guest.tab.lab.rows == [] and "shares" in TASKS
    start = with_chain(guest, part.start)
    for what, words in ((start, "no target pictures"), (part.rebalance_set, "not estimated yet"), (part.upload, "No file came")):
        guest.does(what)
        assert words in guest.told
    guest.tab.shelf.choose("faces", target="bright")
    guest.values[part.columns] = []
    guest.does(start)
    assert "No attribute is chosen" in guest.told
    guest.values[part.columns] = ["beard"]
    guest.does(start)
    assert "no label column" in guest.told
    path = guest.tab.shelf.root / "faces" / READ
    labelled = load_set(path)
    replace(labelled, items=tuple(item for item in labelled.items if item.split != "validation")).save(path)
    guest.tab.shelf.choose("faces", validation=0.0)
    guest.values[part.columns] = ["class"]
    guest.does(start)
    assert "there are none. Give validation a share" in guest.told
    replace(labelled, items=tuple(item._replace(labels=("yes",)) for item in labelled.items)).save(path)
    guest.does(start)
    assert "the same label in class" in guest.told


def test_a_counting_that_runs_is_shown_before_a_newer_one(guest, part):
    guest.tab.shelf.choose("faces", target="bright")
    guest.looks()
    for _ in range(2):
        guest.does(with_chain(guest, part.start))
    newer, older = guest.tab.lab.rows
    assert part.job(guest.tab.chain(guest.seen)) is newer
    older.state = "running"
    assert part.job(guest.tab.chain(guest.seen)) is older


@pytest.mark.long
def test_from_the_button_to_a_rebalanced_set(guest, part, tools):
    guest.tab.shelf.choose("faces", target="bright")
    guest.looks()
    assert guest.values[part.columns] == ["class"] and not guest.shown[part.twins]["visible"]
    guest.values |= {part.form.components["levels"]: 2, part.form.components["highest"]: 100}
    row = ask(guest, tools)
    row.state = "queued"
    guest.does(part.line.asks(guest.tab.lab.cancel))
    assert guest.tab.lab.asked_for == [("cancel", row.id)] and not guest.shown[part.card]["visible"]
    row.state = "done"
    guest.looks()
    assert guest.shown[part.card]["visible"] and guest.shown[part.fold]["open"]
    told = guest.sees(part.told)
    assert "What “bright faces” is made of" in told and "best of 2 on 8 source validation pictures" in told
    assert "saw source pictures only" in told and "own labels agree" in told and "Resample: 20 training pictures, made of" in told
    assert row.settings["adapted"] is None and "Carry the set across in step 3" in told

    guest.does(part.rebalance_set)
    assert guest.told == "" and guest.seen.set.startswith("rebalanced-") and not guest.shown[part.card]["visible"]
    chain = guest.tab.chain(guest.seen)
    labels = [item.labels[0] for item in load_set(chain.index).split("train")]
    assert len(labels) == 20 and labels.count("yes") in (14, 15, 16) and chain.choices.target == "bright"
    assert "Rebalanced (resample, seed 0) to class" in guest.sees(guest.tab.set.told)
    assert chain.entry.name == "faces, as bright faces" and Guest(guest.tab).seen.set == chain.entry.id
    guest.tab.shelf.choose("faces")
    again = Guest(guest.tab)
    assert again.shown[part.card]["visible"]
    again.does(part.rebalance_set)
    assert again.seen.set == chain.entry.id and len(guest.tab.shelf.entries()) == 3


@pytest.mark.long
def test_adapted_twins_are_offered_and_learned_from(guest, part, tools):
    guest.tab.shelf.choose("faces", target="bright")
    guest.goes_to("edit")
    guest.does(with_chain(guest, guest.tab.run.start))
    carried = carry(guest.tab.lab.rows[0])
    guest.goes_to("set")
    assert guest.shown[part.twins]["visible"]
    row = ask(guest, tools)
    told = guest.sees(part.told)
    assert row.settings["adapted"] == str(carried)
    assert "on 8 adapted validation pictures" in told and "learned from adapted pictures as well" in told
    guest.values[part.twins] = False
    ask(guest, tools)
    assert "Tick “Learn from the adapted pictures too”" in guest.sees(part.told)


@pytest.mark.long
def test_pictures_without_labels_are_brought_and_counted(guest, part, tmp_path, tools):
    guest.values[part.drop] = str(zipped(tmp_path / "zip"))
    guest.does(part.upload)
    chosen = guest.tab.shelf.choices("faces").unlabelled
    wait_until(lambda: part.targets.entries()[0].ready)
    guest.looks()
    assert "10 pictures" in guest.sees(part.reading) and guest.values[part.target] == chosen
    assert [entry.id for entry in guest.tab.shelf.entries()] == ["bright", "faces"]
    ask(guest, tools)
    assert "What “faces” is made of" in guest.sees(part.told) and "own labels" not in guest.sees(part.told)
    guest.values[part.target] = ""
    guest.does(part.choose_target)
    assert not guest.shown[part.card]["visible"]


def test_an_empty_zip_of_target_pictures_says_so(guest, part, tmp_path):
    (tmp_path / "no.zip").write_bytes(b"no ZIP")
    guest.values[part.drop] = str(tmp_path / "no.zip")
    guest.does(part.upload)
    wait_until(lambda: part.targets.entries()[0].state == "failed")
    guest.looks()
    assert "ZIP" in guest.sees(part.reading)
    guest.does(with_chain(guest, part.start))
    assert "not read yet" in guest.told and guest.tab.lab.rows == []


def test_a_reading_that_a_kill_ended_begins_again(guest, part, tmp_path):
    id = part.targets.bring(zipped(tmp_path / "zip"), "sketches")
    wait_until(lambda: part.targets.entries()[0].ready)
    guest.tab.shelf.choose("faces", unlabelled=id)
    restarted(part.targets)
    guest.does(with_chain(guest, part.start))
    assert "They are being read now" in guest.told
    wait_until(lambda: part.targets.entries()[0].ready)
    restarted(part.targets)
    guest.looks()
    assert "Read it again" in guest.sees(part.reading) and guest.shown[part.again]["visible"]
    guest.does(part.read_again)
    wait_until(lambda: part.targets.entries()[0].ready)
    guest.looks()
    assert "10 pictures" in guest.sees(part.reading) and not guest.shown[part.again]["visible"]


def shares(**estimate):
    rows = []
    for value, share in estimate.items():
        ways = {f"{way}{end}": share + off for way in WAYS for end, off in (("", 0), ("_low", -0.05), ("_high", 0.05))}
        rows.append({"column": "glasses", "value": value, "source": 0.5, **ways})
    return pd.DataFrame(rows)


def levels(domain: str, balanced: float):
    reading = {"column": "glasses", f"{domain} accuracy": 0.9, f"{domain} balanced": balanced}
    return pd.DataFrame([{**reading, "level": t, "chosen": t == 50} for t in (0, 50)])


def test_trust_is_said_in_words():
    photos = Estimated(shares(no=0.2, yes=0.8), levels("source", 0.95), "a <b>", {"glasses": {"no": 0.5, "yes": 0.5}})
    html = estimate_html(photos)
    assert "a &lt;b&gt;" in html and "t = 50" in html and "glasses = yes is 50.0 %, 30.0 points from the estimate" in html
    twins = replace(photos, levels=levels("adapted", 0.6), truth={"glasses": {"no": 0.22, "yes": 0.78}}, twins=True)
    said = verdicts(twins)
    assert [calm for calm, _ in said] == [True, False, True] and "little better than by guessing" in said[1][1]
    assert [calm for calm, _ in verdicts(replace(twins, levels=levels("adapted", 0.9), truth={}))] == [True]


def test_a_share_of_nothing_is_a_sentence(guest):
    labelled = guest.tab.shelf.load("faces")
    told = plan_html(labelled, {"class": {"no": 0.0, "yes": 1.0}}, "class")
    assert told.count("no training picture with class = no") == 2 and "keeps its share" not in told


def test_the_report_says_that_the_set_was_rebalanced(guest, tmp_path):
    labelled = guest.tab.shelf.load("faces")
    noted = replace(labelled, report=replace(labelled.report, notes=("Rebalanced to something.",)))
    index = noted.save(tmp_path / "noted.jsonl")
    out = carry(Row("run", "x", "adapt", {"index": str(index)}, tmp_path / "run"))
    study = ClassifyTask(index=index, adapted=out, column="class").study(tmp_path, "A title")
    assert study.note == "Rebalanced to something."

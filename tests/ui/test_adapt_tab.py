"""The Adapt tab's handlers from set to report, on jobs that are rows in a list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.adaptation.jobs import ClassifyTask, in_foreground
from core.data.labelled import load_set
from core.jobs.sets import READ
from core.jobs.tasks import Tools
from core.methods import METHODS
from core.types import Context
from tests.jobs.helpers import wait_until
from tests.jobs.test_sets import restarted, zipped
from tests.ui.adapt_lab import adapt_tab, audited, carry, put_set
from ui.adapt_chain import Seen
from ui.adapt_tab import AdaptTab


def controls(tab):
    """Everything that a handler may read."""
    return tab._inputs().union(*(step.inputs() for step in tab.steps.values() if hasattr(step, "inputs")))


class Guest:
    """One visitor: the values in the components, changed as the handlers say."""

    def __init__(self, tab: AdaptTab) -> None:
        self.tab, self.seen, self.shown = tab, Seen(), {}
        self.values = {part: getattr(part, "value", None) for part in controls(tab)} | {tab.seen: self.seen}
        self.take(tab.loaded(self.values))

    def take(self, updates: dict) -> None:
        assert updates and set(updates) <= set(self.tab._outputs())
        for part, update in updates.items():
            change = update if isinstance(update, dict) and "__type__" in update else {"value": update}
            self.shown.setdefault(part, {}).update(change)
            if "value" in change and part in self.values:
                self.values[part] = change["value"]

    def does(self, what, **values) -> None:
        self.values |= values
        self.take(self.tab.doing(what)(self.values))

    def goes_to(self, step: str) -> None:
        self.take(self.tab._to(step, self.values))

    def looks(self) -> None:
        self.take(self.tab.tick(self.values))

    def sees(self, part) -> str:
        return str(self.shown.get(part, {}).get("value", ""))

    @property
    def told(self) -> str:
        return self.sees(self.tab.message)


@pytest.fixture
def tab(tmp_path):
    return adapt_tab(tmp_path / "home")


@pytest.fixture
def guest(tab, tmp_path):
    put_set(tab.shelf, tmp_path / "in")
    return Guest(tab)


def with_chain(guest, what):
    return lambda values, seen: what(values, guest.tab.chain(seen))


def test_without_a_set_every_start_is_a_sentence(tab):
    guest = Guest(tab)
    assert "No labelled set yet" in tab.set.told.value and tab.lab.rows == []
    for what, words in ((tab.run.start, "step 1"), (tab.compare.start, "step 1"), (tab.run.audit.start, "step 3")):
        guest.does(with_chain(guest, what))
        assert words in guest.told
    guest.does(tab.set.choose_split)
    assert "Choose one first" in guest.told and tab.lab.rows == []


def test_a_set_is_told_and_its_split_is_kept(guest):
    tab = guest.tab
    assert "8 pictures" in guest.sees(tab.set.told) and "faces · class" in guest.sees(tab.rail)
    guest.does(tab.set.choose_split)
    assert guest.told == ""
    assert Guest(tab).seen.set == "faces"


@pytest.mark.parametrize(("given", "missing", "drawn"), [("validation", "test", 2), ("test", "validation", 1)])
def test_the_page_says_what_the_set_gave_and_draws_the_rest(tab, tmp_path, given, missing, drawn):
    put_set(tab.shelf, tmp_path / "in", 10)
    path = tab.shelf.root / "faces" / READ
    labelled = load_set(path)
    replace(labelled, items=tuple(item._replace(split=given if item.split == given else "train") for item in labelled.items)).save(path)
    guest = Guest(tab)
    assert f"gives its {given} pictures itself; those for {missing} are drawn" in guest.sees(tab.set.split_said)
    assert guest.shown[getattr(tab.set, missing)]["visible"] and guest.shown[tab.set.split_seed]["visible"]
    assert not guest.shown[getattr(tab.set, given)]["visible"]
    chain = tab.chain(guest.seen)
    assert load_set(chain.index).counts("class")[missing, "yes"] == drawn
    assert load_set(chain.index).split(given) == load_set(path).split(given)


def test_a_target_whose_reading_a_restart_ended_is_read_again(guest, tmp_path):
    tab, step = guest.tab, guest.tab.set
    guest.values[step.target_drop] = str(zipped(tmp_path / "zip"))
    guest.does(step.upload_target)
    wait_until(lambda: tab.shelf.entries()[0].ready)
    guest.looks()
    assert "Target: faces" in guest.sees(step.told_target) and not guest.shown[step.target_again]["visible"]
    restarted(tab.shelf)
    guest.looks()
    assert "Read it again" in guest.sees(step.told_target) and guest.shown[step.target_again]["visible"]
    guest.does(step.read_target_again)
    wait_until(lambda: tab.shelf.entries()[0].ready)
    guest.looks()
    assert "Target: faces" in guest.sees(step.told_target) and not guest.shown[step.target_again]["visible"]


def test_a_set_that_the_data_tab_hands_over_is_opened_once(guest):
    tab = guest.tab
    guest.goes_to("adapt")
    guest.take(tab.opened(guest.values | {tab.shared.to_adapt: "faces"}))
    assert guest.seen.step == "set" and guest.values[tab.shared.to_adapt] is None
    guest.goes_to("adapt")
    guest.take(tab.opened(guest.values))
    assert guest.seen.step == "adapt"


def test_from_start_to_pairs_and_back_after_a_reload(guest):
    tab, run = guest.tab, guest.tab.run
    guest.goes_to("edit")
    assert guest.seen.edit == "pencil sketch" and guest.values[tab.edit.edit] == "pencil-sketch"
    guest.goes_to("adapt")
    assert "8 pictures of “faces” through “pencil sketch”" in guest.sees(run.plan)
    guest.does(with_chain(guest, run.start))
    row = tab.lab.rows[0]
    assert row.kind == "adapt" and row.settings["edits"] == ["pencil-sketch"] and row.settings["settings"]["return_step"] == 601
    assert "next in the queue" in guest.sees(run.line.html)
    row.state, row.step, row.total, row.eta_s = "running", 3, 8, 65.0
    guest.looks()
    assert "3 of 8" in guest.sees(run.line.html) and "1 min 5 s left" in guest.sees(tab.rail)
    guest.does(run.line.asks(tab.lab.cancel))
    assert tab.lab.asked_for == [("cancel", row.id)]
    row.state, row.message = "failed", "The disk is full. Make room and resume."
    guest.looks()
    assert "The disk is full" in guest.sees(run.line.html) and guest.shown[run.line.resume]["visible"]
    carry(row)
    guest.looks()
    pairs = guest.sees(run.pairs)
    assert pairs.count('class="pair"') == 8 and pairs.index("identity 0.00") < pairs.index("identity 0.70")
    again = Guest(tab)
    assert "8 pictures" in again.sees(tab.rail) and again.values[tab.edit.edit] == "pencil-sketch" and again.seen.edit == "pencil sketch"


@pytest.fixture
def carried(guest):
    """A visitor in step 3, when the set is carried across."""
    guest.goes_to("edit")
    guest.does(with_chain(guest, guest.tab.run.start))
    carry(guest.tab.lab.rows[0])
    guest.goes_to("adapt")
    return guest


def test_the_audit_trains_its_classifier_first_and_is_decided_by_hand(carried):
    tab, audit = carried.tab, carried.tab.run.audit
    carried.does(with_chain(carried, audit.start))
    asked, source = tab.lab.rows[:2]
    assert [asked.kind, source.kind] == ["audit", "classify"] and source.settings["arms"] == ["source"]
    assert asked.settings["classifier"].startswith(str(source.folder))
    carried.values[audit.prompts] = "no = dark"
    carried.does(with_chain(carried, audit.start))
    assert "CLIP needs one line a label: no = …, yes = …" in carried.told and len(tab.lab.rows) == 3

    names = [item.name for item in tab.shelf.load("faces").items]
    audited(asked, names)
    carried.looks()
    assert carried.sees(tab.run.pairs).count("<button") == 8 and carried.sees(tab.run.pairs).count(">dropped<") == 1
    assert "1</b> of 8 are dropped" in carried.sees(audit.said)
    for name in names[:2]:  # the suspicious one is spared, another one dropped
        carried.does(lambda values, seen, name=name: audit.turn(name, tab.chain(seen)))
    assert tab.chain(carried.seen).dropped == (names[1],) and "1 spared" in carried.sees(audit.said)
    carried.values[audit.form.components["votes"]] = 3
    carried.does(with_chain(carried, audit.move))
    assert tab.chain(carried.seen).dropped == (names[1],)


def test_cancel_stops_the_job_that_is_shown(carried):
    """The classifier that an audit waits for, not the audit; a comparison that runs, not the newer one behind it."""
    tab, audit, compare = carried.tab, carried.tab.run.audit, carried.tab.compare
    carried.does(with_chain(carried, audit.start))
    source = next(row for row in tab.lab.rows if row.kind == "classify")
    carried.goes_to("classifier")
    carried.does(with_chain(carried, compare.start))
    carried.goes_to("adapt")
    assert source.name in carried.sees(audit.line.html)
    carried.does(audit.line.asks(tab.lab.cancel))
    source.state = "running"
    carried.goes_to("classifier")
    assert source.name in carried.sees(compare.line.html)
    carried.does(compare.line.asks(tab.lab.cancel))
    assert tab.lab.asked_for == [("cancel", source.id)] * 2


def test_cancel_does_not_hit_the_new_job_of_another_window(carried):
    tab, compare = carried.tab, carried.tab.compare
    carried.goes_to("classifier")
    carried.does(with_chain(carried, compare.start))
    shown = tab.lab.rows[0]
    Guest(tab).does(with_chain(carried, compare.start))
    assert tab.lab.rows[0] is not shown
    carried.does(compare.line.asks(tab.lab.cancel))
    assert tab.lab.asked_for == [("cancel", shown.id)]


@pytest.mark.long
def test_classifiers_curves_tables_and_report(carried):
    tab, compare = carried.tab, carried.tab.compare
    carried.goes_to("classifier")
    assert carried.values[compare.arms] == ["source", "adapted"]
    for arms, words in (([], "Tick one"), (["audited"], "audit dropped no picture"), (["source", "target"], "oracle")):
        carried.does(with_chain(carried, compare.start))
        tab.lab.rows[:] = [row for row in tab.lab.rows if row.kind == "adapt"]
        carried.values[compare.arms] = arms
        carried.does(with_chain(carried, compare.start))
        assert words in carried.told
    carried.values |= {compare.arms: ["source", "adapted"], compare.form.components["epochs"]: 2, compare.form.components["seeds"]: 1}
    carried.does(with_chain(carried, compare.start))
    row = tab.lab.rows[0]
    for _ in in_foreground(ClassifyTask(**row.settings), Path(row.folder), row.name, Tools(Context(None), METHODS, lambda key: None)):
        carried.looks() if "queued" in row.state else None
        row.state, row.step, row.total = "running", 1, 4
    row.state = "done"
    carried.looks()
    assert len(carried.shown[compare.plot]["value"].data) == 4  # two arms, on source and on adapted
    assert "source only" in carried.sees(compare.tables) and "p = " in carried.sees(compare.tables)
    carried.goes_to("report")
    assert "On adapted pictures, accuracy goes from" in carried.sees(tab.report.said) and "59.3 → 87.0" in carried.sees(tab.report.said)
    files = {kind: Path(carried.sees(button)) for kind, button in tab.report.buttons.items()}
    assert all(path.is_file() for path in files.values()) and files["png"].read_bytes().startswith(b"\x89PNG")

"""A training split brought to given shares: the label's own shares stay, the attributes go along with it no longer."""

from __future__ import annotations

import csv
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from core.adaptation.adapt import adapt, adapted_set
from core.adaptation.pairs import pairs
from core.adaptation.rebalance import rebalanced, shares_in, write_rebalanced
from core.data.labelled import LabelledImage, LabelledSet, load_set
from core.types import ShiftlabError
from tests.adaptation.helpers import adaptation, split_set

COLUMNS = ("smiling", "glasses", "hat")


def a_set(counts: dict[tuple[str, ...], int], split: str = "train") -> LabelledSet:
    rows = [labels for labels, count in counts.items() for _ in range(count)]
    items = tuple(LabelledImage(f"{split}/{k}.png", labels, split, f"{k:032x}") for k, labels in enumerate(rows))
    return LabelledSet(Path("nowhere"), COLUMNS, items)


def with_hats(yes_yes: int, yes_no: int, no_yes: int, no_no: int) -> LabelledSet:
    """Counts by smiling and glasses; a hat on every other one."""
    counts = dict(zip(product(("yes", "no"), repeat=2), (yes_yes, yes_no, no_yes, no_no), strict=True))
    return a_set({(*key, hat): count // 2 for key, count in counts.items() for hat in ("yes", "no")})


def table(found: LabelledSet) -> Counter[tuple[str, str]]:
    return Counter(item.labels[:2] for item in found.split("train"))


def test_a_subsample_has_the_shares_in_every_class_and_nobody_twice():
    source = with_hats(60, 140, 60, 140)  # glasses 30 %
    found = rebalanced(source, {"glasses": {"yes": 0.8, "no": 0.2}}, "smiling", "subsample")
    assert table(found) == {("yes", "yes"): 60, ("yes", "no"): 15, ("no", "yes"): 60, ("no", "no"): 15}
    assert len({item.name for item in found.items}) == len(found)
    assert rebalanced(source, {"glasses": {"yes": 0.8, "no": 0.2}}, "smiling", "subsample").items == found.items
    assert rebalanced(source, {"glasses": {"yes": 0.8, "no": 0.2}}, "smiling", "subsample", seed=1).items != found.items


def test_what_went_with_the_label_goes_no_longer():
    found = rebalanced(with_hats(180, 20, 10, 90), {"glasses": {"yes": 0.5, "no": 0.5}}, "smiling", "resample")
    assert table(found) == {("yes", "yes"): 100, ("yes", "no"): 100, ("no", "yes"): 50, ("no", "no"): 50}
    times = Counter(item.name for item in found.items)
    assert set(times[item.name] for item in with_hats(180, 20, 10, 90).items if item.labels[:2] == ("yes", "no")) == {5}


def test_two_attributes_meet_their_shares_at_once():
    source = a_set(dict(zip(product(("yes", "no"), repeat=3), (40, 10, 30, 60, 25, 25, 70, 40), strict=True)))
    found = rebalanced(source, {"glasses": {"yes": 0.7, "no": 0.3}, "hat": {"yes": 0.4, "no": 0.6}}, "smiling", "resample")
    for name, share in (("yes", 140 / 300), ("no", 160 / 300)):
        members = [item for item in found.split("train") if item.labels[0] == name]
        assert len(members) / 300 == pytest.approx(share, abs=0.01)
        assert shares_in(members, 1)["yes"] == pytest.approx(0.7, abs=0.01)
        assert shares_in(members, 2)["yes"] == pytest.approx(0.4, abs=0.01)


def test_the_label_may_have_shares_of_its_own():
    shares = {"smiling": {"yes": 0.25, "no": 0.75}}
    members = rebalanced(with_hats(60, 140, 60, 140), shares, "smiling", "resample").split("train")
    assert shares_in(members, 0) == {"no": 0.75, "yes": 0.25} and len(members) == 400
    found = table(rebalanced(with_hats(60, 140, 60, 140), {**shares, "glasses": {"yes": 0.5, "no": 0.5}}, "smiling", "subsample"))
    assert found == {("yes", "yes"): 20, ("yes", "no"): 20, ("no", "yes"): 60, ("no", "no"): 60}


def test_other_splits_stay_and_everything_is_written_down(tmp_path):
    train = with_hats(6, 14, 6, 14)
    source = LabelledSet(tmp_path, COLUMNS, (*train.items, *a_set({("yes", "yes", ""): 3}, "test").items))
    found = write_rebalanced(source, {"glasses": {"yes": 1.0, "no": 0.0}}, "smiling", tmp_path / "set.jsonl", "resample")
    assert found.split("test") == source.split("test") and load_set(tmp_path / "set.jsonl").items == found.items
    rows = list(csv.DictReader((tmp_path / "set.csv").open()))
    assert len(rows) == 40 and sum(int(row["taken"]) for row in rows) == 40
    assert all((row["taken"] == "0") == (row["glasses"] == "no") for row in rows)
    said = "Rebalanced (resample, seed 0) to glasses: yes 100.0 %, no 0.0 %; 40 made of 12 of 40 training pictures."
    assert load_set(tmp_path / "set.jsonl").report.notes == (said,)


@pytest.mark.long
def test_a_set_with_pictures_taken_twice_is_carried_across(context, tmp_path):
    source = split_set(tmp_path / "in", 5)
    found = rebalanced(source, {"class": {"yes": 0.7, "no": 0.3}}, "class", "resample")
    assert len({item.name for item in found.items}) < len(found) == len(source)
    list(adapt(found, adaptation(context.base), tmp_path / "out", context))
    after = adapted_set(tmp_path / "out")
    assert [item.labels for item in after.items] == [item.labels for item in found.items]
    assert len({item.name for item in after.items}) == len(after) and after.picture(after.items[-1]).size == (16, 16)
    assert len(list(pairs(found, tmp_path / "out", [item.name for item in after.items]))) == len(found)


@pytest.mark.parametrize(
    ("shares", "why"),
    [
        ({"glasses": {"yes": 0.5, "sometimes": 0.5}}, "No training picture of the class yes has glasses = sometimes"),
        ({"glasses": {"yes": -0.5, "no": 1.5}}, "must be 0 or more"),
        ({"smiling": {"yes": 0.5, "broadly": 0.5}}, "No training picture is of the class broadly"),
        ({}, "no shares to rebalance to"),
        ({"beard": {"yes": 1.0}}, "no label column"),
        ({"smiling": {"yes": 1.0, "no": 0.0}}, "no training picture with smiling = no"),
    ],
)
def test_what_cannot_be_is_said(shares, why):
    with pytest.raises(ShiftlabError, match=why):
        rebalanced(with_hats(2, 2, 2, 2), shares, "smiling", "subsample")

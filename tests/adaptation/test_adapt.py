"""A whole set carried across: the same however often it was stopped, with its labels and a manifest."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from core.adaptation.adapt import MANIFEST, adapt, adapted_set, is_complete
from core.adaptation.pairs import in_order, manifest, pairs
from core.data.png import read_request
from core.types import ShiftlabError, Stopped
from tests.adaptation.helpers import adaptation, contents, split_set


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return split_set(tmp_path_factory.mktemp("set") / "in", 4)


@pytest.fixture(scope="module")
def whole(labelled, context, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    events = list(adapt(labelled, adaptation(context.base), out, context))
    return out, events


def test_every_picture_is_there_with_labels_scores_and_request(labelled, whole):
    out, events = whole
    adapted = adapted_set(out)
    assert [(item.name, item.labels, item.split) for item in adapted.items] == [(i.name, i.labels, i.split) for i in labelled.items]
    assert all(adapted.picture(item).size == (16, 16) for item in adapted.items)
    table = pd.read_csv(out / MANIFEST)
    assert {"identity", "s_dir", "psnr", "source_digest", "digest", "label class"} <= set(table) and list(table["seed"]) == list(
        range(5, 13)
    )
    record = read_request(out / adapted.items[2].name)
    assert record["settings"]["return_step"] == 201 and record["scores"].keys() >= {"identity"}
    assert [event.step for event in events] == [0, 3, 6, 8, 8] and events[1].numbers["images_per_s"] > 0


@pytest.mark.long
def test_stopped_and_resumed_it_is_the_same_to_the_byte(labelled, whole, context, tmp_path):
    out = tmp_path / "out"
    asked = []

    def after_one_batch() -> bool:
        return len(list(out.rglob("*.png"))) >= 3 or bool(asked)

    with pytest.raises(Stopped):
        list(adapt(labelled, adaptation(context.base), out, replace(context, should_stop=after_one_batch)))
    assert len(list(out.rglob("*.png"))) == 3 and not is_complete(out)
    with pytest.raises(ShiftlabError, match="not complete"):
        adapted_set(out)
    lost, *others = sorted(out.rglob("*.png"))
    lost.unlink()  # as if it had been killed in the middle of a batch
    kept = {path: path.stat().st_mtime_ns for path in others}
    events = list(adapt(labelled, adaptation(context.base), out, context))
    assert events[0].step == 2 and "already" in events[0].note
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert contents(out) == contents(whole[0])


@pytest.mark.long
def test_two_shares_make_the_whole(labelled, whole, context, tmp_path):
    out = tmp_path / "out"
    counts = [list(adapt(labelled, adaptation(context.base), out, context, rank, 2))[-1].total for rank in (1, 0)]
    assert counts == [3, 5] and contents(out) == contents(whole[0])


def test_pictures_of_an_earlier_run_are_taken_over_where_all_is_the_same(labelled, whole, context, tmp_path):
    otherwise_split = replace(labelled, items=tuple(item._replace(split="train") for item in labelled.items))
    events = list(adapt(otherwise_split, adaptation(context.base), tmp_path / "same", context, earlier=[tmp_path / "gone", whole[0]]))
    assert events[0].step == 8 and {item.split for item in adapted_set(tmp_path / "same").items} == {"train"}
    events = adapt(labelled, adaptation(context.base, return_step=301), tmp_path / "other", context, earlier=[whole[0]])
    assert next(events).step == 0


def test_a_folder_takes_one_adaptation_only(labelled, whole, context):
    with pytest.raises(ShiftlabError, match="another adaptation"):
        list(adapt(labelled, adaptation(context.base, return_step=301), whole[0], context))


def test_a_changed_picture_stops_it_by_name(context, tmp_path):
    labelled = split_set(tmp_path / "in", 2)
    (tmp_path / "in" / "yes" / "0.png").write_bytes((tmp_path / "in" / "no" / "1.png").read_bytes())
    with pytest.raises(ShiftlabError, match=r"yes/0\.png has changed"):
        list(adapt(labelled, adaptation(context.base), tmp_path / "out", context))


def test_pairs_come_worst_identity_first(labelled, whole):
    out, _ = whole
    names = in_order(manifest(out))
    scores = manifest(out).loc[names, "identity"]
    assert list(scores) == sorted(scores)
    pair = next(pairs(labelled, out, names))
    assert pair.name == names[0] and pair.scores["identity"] == pytest.approx(scores.iloc[0]) and pair.labels.keys() == {"class"}
    with pytest.raises(ShiftlabError, match="no picture"):
        list(pairs(labelled, out, ["nowhere.png"]))

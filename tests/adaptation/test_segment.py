"""Segmenters of all arms: they learn, they are the same after a stop, and what cannot be is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.adaptation.segment import SegmentDomains, measured_file, segment, segmenter_folder
from core.adaptation.segment_fit import measured
from core.adaptation.segment_results import by_class, confusions, facts_of_run, mious, resampled, segment_finished, segment_gains, tables
from core.adaptation.segmenter import load_segmenter
from core.data.checkpoints import FolderCheckpoints
from core.types import Context, ShiftlabError, Stopped
from tests.adaptation.segment_helpers import labelled, quick, scenes, unlabelled, write_backbone
from tests.methods.conftest import Memory

pytestmark = pytest.mark.long

ARMS = ("source", "one_shot", "generated", "target")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return write_backbone(tmp_path_factory.mktemp("mit"))


@pytest.fixture(scope="module")
def domains(tmp_path_factory):
    folder = tmp_path_factory.mktemp("domains")
    generated = unlabelled(folder / "generated", shade=0.4)
    scenes(1, 20, 0.4)[0].image.save(folder / "one.png")
    target = labelled(folder / "target", shade=0.4, seed=5)
    return SegmentDomains(labelled(folder / "source"), folder / "one.png", generated, target)


@pytest.fixture(scope="module")
def whole(domains, backbone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, list(segment(domains, ARMS, quick(backbone, seeds=2), folder, Context(None, checkpoints=Memory())))


def trained(events):
    return [event for event in events if event.phase.startswith("train")]


def test_every_arm_is_measured_in_both_domains(whole):
    folder, events = whole
    steps = trained(events)
    assert [event.step for event in steps] == list(range(1, 41)) and steps[0].total == 40
    measurements = [event for event in steps if event.numbers]
    assert len(measurements) == 2 * (3 + 2 + 2 + 3) and {event.phase for event in measurements} == {f"train on {arm}" for arm in ARMS}
    numbers = measurements[3].numbers
    assert (numbers["seed"], numbers["iteration"]) == (0, 2) and {"loss", "confidence", "source_miou", "target_iou car"} <= numbers.keys()
    assert measurements[0].images.shape == (4, 3, 16, 32) and segment_finished(folder) == {arm: [0, 1] for arm in ARMS}


@pytest.mark.parametrize("asked", [9, 8])  # between two measurements, and when one begins
def test_a_stopped_comparison_goes_on_to_the_bit(domains, backbone, whole, tmp_path, asked):
    saved, settings, seen = [], quick(backbone, seeds=2), []
    memory = FolderCheckpoints(tmp_path / "checkpoints", saved.append)
    stopping = Context(None, checkpoints=memory, should_stop=lambda: bool(seen) and (seen[-1].step == 9 or saved[-1:] == [asked]))
    with pytest.raises(Stopped):
        for event in segment(domains, ARMS, settings, tmp_path, stopping):
            seen.append(event)
    assert saved[-1] == asked and (memory.load()["tag"], memory.load()["step"]) == ("one_shot-0", asked - 6)
    rest = list(segment(domains, ARMS, settings, tmp_path, Context(None, checkpoints=memory)))
    assert trained(rest)[0].step == (10 if asked == 9 else 8)  # nothing is learned again, and what was not measured is
    assert {e.step: e.numbers for e in [*trained(seen), *trained(rest)]} == {e.step: e.numbers for e in trained(whole[1])}
    for arm, seed in (("generated", 0), ("one_shot", 1)):
        a, b = (load_segmenter(segmenter_folder(folder, arm, seed)).network.state_dict() for folder in (tmp_path, whole[0]))
        assert all(torch.equal(a[name], b[name]) for name in a)
    assert not trained(segment(domains, ARMS, settings, tmp_path, Context(None)))  # finished: nothing is trained again


def test_reading_can_be_stopped(domains, backbone, tmp_path):
    events, context = [], Context(None, should_stop=lambda: True)
    with pytest.raises(Stopped):
        for event in segment(domains, ("source",), quick(backbone), tmp_path, context):
            events.append(event)
    assert [event.phase for event in events] == ["read"]


def test_it_learns_the_scenes(domains, tmp_path, backbone):
    settings = quick(backbone, iterations=60, measure_every=60, learning_rate=2e-2, average=0.9)
    events = list(segment(SegmentDomains(domains.source), ("source",), settings, tmp_path, Context(None)))
    assert events[-1].numbers["source_miou"] > 0.6 and "target_miou" not in events[-1].numbers


def test_adaptation_starts_where_it_is_told(domains, backbone, tmp_path):
    list(segment(domains, ("one_shot",), quick(backbone), tmp_path / "source", Context(None)))
    assert segment_finished(tmp_path / "source") == {"source": [0], "one_shot": [0]}  # the source comes first, asked for or not
    list(segment(domains, ("one_shot",), quick(backbone, start="own"), tmp_path / "own", Context(None)))
    assert segment_finished(tmp_path / "own") == {"one_shot": [0]}


def test_results_are_the_sum_of_their_pictures(whole):
    folder, events = whole
    last = [event.numbers for event in trained(events) if event.numbers and event.phase == "train on source"]
    table = mious(folder).set_index(["trained on", "tested on"])
    final = [numbers["target_miou"] for numbers in last if numbers["iteration"] == 6]
    assert table.loc[("source", "target"), "miou"] == pytest.approx(np.mean(final)) and table.loc[("source", "target"), "pictures"] == 4
    assert ((table["low"] <= table["miou"] + 1e-9) & (table["miou"] <= table["high"] + 1e-9)).all()
    assert set(segment_gains(folder)["trained on"]) == {"one_shot", "generated", "target"}
    assert set(by_class(folder)["class"]) <= {"road", "sky", "car"} and facts_of_run(folder, "generated", 1)["trained on"] == 6
    shares = confusions(folder, "target", "target")
    assert shares.sum(axis=1).tolist() == pytest.approx([1.0] * len(shares)) and confusions(folder, "none", "target").empty
    matrices = tables(folder, "source", [0, 1], "target")
    assert matrices.sum() == 2 * 4 * 16 * 32 and resampled(matrices).shape == (2000,)
    found = load_segmenter(segmenter_folder(folder, "source", 0))
    assert measured(found, {}, Context(None)) == {} and measured_file(folder, "source", 0).is_file()


def test_what_cannot_be_is_refused(domains, backbone, tmp_path):
    context, settings = Context(None), quick(backbone)
    with pytest.raises(ShiftlabError, match="nothing for 'generated' to learn from"):
        list(segment(replace(domains, generated=None), ("generated",), settings, tmp_path, context))
    with pytest.raises(ShiftlabError, match="crop of 32 px is larger than the labelled pictures"):
        list(segment(domains, ("source",), quick(backbone, crop=32), tmp_path / "crop", context))
    tall = scenes(1)[0].image.crop((0, 0, 8, 16))
    tall.save(tmp_path / "tall.png")
    with pytest.raises(ShiftlabError, match="larger than the one-shot image, 8 × 16 px"):
        list(segment(replace(domains, one_shot=tmp_path / "tall.png"), ("one_shot",), settings, tmp_path / "tall", context))
    whole = replace(domains.source, items=tuple(item._replace(split="train") for item in domains.source.items))
    trains = replace(domains.target, items=tuple(domains.target.split("train")))
    with pytest.raises(ShiftlabError, match=r"nothing could be measured there. Give it scenes in val/ or test/"):
        next(segment(replace(domains, target=trains), ("source",), settings, tmp_path / "untested", context))
    with pytest.raises(ShiftlabError, match="no train or no test split"):
        list(segment(replace(domains, source=whole), ("source",), settings, tmp_path / "split", context))

"""Shares of a target: exact where the answer is known, and the whole survey on a tiny base."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.adaptation.features import h_features
from core.adaptation.probe import fit_probe, read
from core.adaptation.quantify import WAYS, adjusted, confusion, em, estimates
from core.adaptation.share_jobs import SharesTask, rebalanced_by
from core.adaptation.shares import ShareSettings, Survey, read_levels, read_shares, shares_of, survey
from core.data.labelled import load_set, read_set
from core.data.labelled_split import drawn_split
from core.jobs.tasks import Tools
from core.methods import METHODS
from core.models.base import load_base
from core.models.h_space import HSpace
from core.process.noise import ItemNoise
from core.types import ShiftlabError
from tests.adaptation.helpers import split_set, write_set
from tests.tiny import IMAGE_SIZE, write_base

SETTINGS = ShareSettings(levels=2, highest=100, draws=1, pictures=60)


def posteriors(share: float, count: int, prior: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(probabilities `(n, 2)` of the best classifier of two Gaussians under a prior, the truth under a share)."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(count) < share).astype(int)
    x = rng.normal(size=count) + 1.5 * truth
    odds = prior / (1 - prior) * np.exp(1.5 * x - 1.125)
    return np.stack([1 / (1 + odds), odds / (1 + odds)], axis=1), truth


@pytest.mark.long
def test_corrected_shares_are_right_where_counting_is_not():
    target, truth = posteriors(0.8, 500, 0.3, seed=1)
    found = estimates(target, *posteriors(0.3, 400, 0.3, seed=2), np.array([0.7, 0.3]))
    share = truth.mean()
    assert list(found) == list(WAYS)
    assert found["plain"].high[1] < share - 0.1
    for way in ("adjusted", "em"):
        assert found[way].low[1] < share < found[way].high[1] and found[way].high[1] - found[way].low[1] < 0.4
        assert found[way].mean.sum() == pytest.approx(1)
    again = estimates(target, *posteriors(0.3, 400, 0.3, seed=2), np.array([0.7, 0.3]))
    assert all((again[way].low == found[way].low).all() for way in WAYS)


def test_adjusted_counts_solve_the_confusion():
    table = confusion(np.repeat([0, 1, 2], 100), np.repeat([0, 1, 1, 2, 0, 2], [80, 20, 90, 10, 30, 70]), 3)
    shares = np.array([0.2, 0.5, 0.3])
    assert adjusted(shares @ (table / 100), table) == pytest.approx(shares, abs=1e-6)
    assert adjusted(np.array([0.0, 0.0, 1.0]), table) == pytest.approx([0, 0, 1], abs=1e-6)  # beyond what any mixture gives
    assert adjusted(np.array([0.5, 0.5]), np.array([[9, 1], [0, 0]])) == pytest.approx([5 / 9, 4 / 9], abs=1e-6)


def test_em_leaves_what_is_certain_and_ends_where_it_began_without_a_shift():
    certain = np.eye(2)[[0, 0, 0, 1]]
    assert em(certain, np.array([0.5, 0.5]), np.ones(4)) == pytest.approx([0.75, 0.25])
    same, truth = posteriors(0.3, 4000, 0.3, seed=3)
    assert em(same, np.array([0.7, 0.3]), np.ones(4000))[1] == pytest.approx(truth.mean(), abs=0.02)


def test_a_probe_finds_the_direction_and_minds_the_penalty():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 12, generator=generator) * 3 + 5
    y = (x[:, 4] + x[:, 7] > 10).long()
    close, far = fit_probe(x, y, ("no", "yes"), 1.0), fit_probe(x, y, ("no", "yes"), 1e6)
    assert read(close, x, y).accuracy > 0.97 and read(close, x, y).loss < 0.1
    assert far.weight.abs().max() < 1e-3
    assert far.probabilities(x)[:, 1] == pytest.approx(torch.full((200,), float(y.double().mean()), dtype=torch.double), abs=0.02)


def test_features_belong_to_an_item_alone(context):
    x = torch.rand(3, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    space = HSpace(context.base)
    together = h_features(x, 300, ItemNoise([4, 5, 6]), space, draws=2)
    alone = h_features(x[1:2], 300, ItemNoise([5]), space, draws=2)
    assert together.shape == (3, 16 * space.channels) and torch.allclose(together[1], alone[0], atol=1e-4)
    assert not torch.allclose(alone, h_features(x[1:2], 300, ItemNoise([5]), space, draws=1), atol=1e-2)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Indices of a labelled set, half bright, and of 40 pictures of which 30 are bright, whose folders say nothing."""
    folder = tmp_path_factory.mktemp("sets")
    source = split_set(folder / "in", 40).save(folder / "source.jsonl")
    bright = write_set(folder / "out", 30, seed=9)
    for path in sorted((bright / "no").iterdir())[10:]:
        path.unlink()
    return source, read_set(bright, labels=False).save(folder / "target.jsonl")


@pytest.mark.long
def test_a_survey_counts_what_it_was_not_told(sets, context, tmp_path):
    source, target = map(load_set, sets)
    events = list(survey(Survey(source, target, ("class",)), SETTINGS, tmp_path, context))
    assert {(event.phase, event.numbers.get("level")) for event in events} == {("read", None), ("features", 0), ("features", 100)}
    looks = [(event.step, event.total) for event in events if event.phase == "features"]
    whole = 2 * len(source.split("train") + source.split("validation")) + len(target)
    assert looks == sorted(looks) and looks[-1] == (whole, whole)
    table = read_shares(tmp_path)
    assert list(table["value"]) == ["no", "yes"] and list(table["source"]) == [0.5, 0.5]
    for way in WAYS:
        assert shares_of(table, way)["class"]["yes"] == pytest.approx(0.75, abs=0.06)
        assert table[f"{way}_low"][1] <= table[way][1] <= table[f"{way}_high"][1]
    levels = read_levels(tmp_path)
    assert list(levels["level"]) == [0, 100] and levels["chosen"].sum() == 1 and levels["source accuracy"].max() > 0.9
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    list(survey(Survey(source, target, ("class",)), SETTINGS, tmp_path, context))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")} == made and read_shares(tmp_path).equals(table)


@pytest.mark.long
def test_adapted_pictures_choose_the_level(sets, context, tmp_path):
    """The twins here are the pictures themselves, darker."""
    source, target = map(load_set, sets)
    few = ShareSettings(levels=2, highest=100, pictures=20)
    list(survey(Survey(source, target, ("class",), adapted=source), few, tmp_path, context))
    levels = read_levels(tmp_path)
    assert levels["adapted loss"].idxmin() == levels["chosen"].idxmax()
    assert max(len(np.load(path)) for path in (tmp_path / "features").glob("*.npy")) == 20


@pytest.mark.long
def test_the_prior_is_of_all_that_was_learned(sets, context, tmp_path, monkeypatch):
    """Adapted pictures of one class only: the probe saw more of it than the source has."""
    source, target = map(load_set, sets)
    bright = replace(source, items=tuple(item for item in source.items if item.split != "train" or item.labels[0] == "yes"))
    priors = []
    monkeypatch.setattr("core.adaptation.share_probe.estimates", lambda *given: priors.append(given[-1]) or estimates(*given))
    few = ShareSettings(levels=1, highest=0, pictures=60)
    list(survey(Survey(source, target, ("class",), adapted=bright), few, tmp_path, context))
    assert priors[0] == pytest.approx([1 / 3, 2 / 3]) and list(read_shares(tmp_path)["source"]) == [0.5, 0.5]


@pytest.mark.long
def test_what_another_base_saw_is_not_taken_over(sets, context, tmp_path):
    source, target = map(load_set, sets)
    few = ShareSettings(levels=1, highest=0, pictures=10)
    list(survey(Survey(source, target, ("class",)), few, tmp_path, context))
    seen = set((tmp_path / "features").glob("*.npy"))
    other = load_base(write_base(tmp_path / "base", seed=3), dtype=torch.float32)
    list(survey(Survey(source, target, ("class",)), few, tmp_path, replace(context, base=other)))
    assert len(set((tmp_path / "features").glob("*.npy")) - seen) == len(seen)


@pytest.mark.long
def test_the_job_and_what_is_rebalanced_by_it(sets, context, tmp_path):
    index, target = sets
    task = SharesTask(index=index, target=target, columns=("class",), settings=SETTINGS)
    list(task.run(tmp_path, Tools(context, METHODS, lambda key: None)))
    found = rebalanced_by(index, read_shares(tmp_path), "class", tmp_path / "out.jsonl", how="resample")
    labels = [item.labels[0] for item in found.split("train")]
    assert len(labels) == len(load_set(index).split("train")) and labels.count("yes") / len(labels) == pytest.approx(0.75, abs=0.06)
    assert (tmp_path / "out.csv").is_file()


@pytest.mark.parametrize(
    ("columns", "count", "why"),
    [(["hair"], 8, "no label column"), (["class"], 2, "no source validation pictures"), ([], 8, "No attribute is chosen")],
)
def test_what_cannot_be_asked_is_said(columns, count, why, context, tmp_path):
    source = drawn_split(read_set(write_set(tmp_path / "in", count)), "class", 0.1, 0.3)
    with pytest.raises(ShiftlabError, match=why):
        list(survey(Survey(source, source, tuple(columns)), SETTINGS, tmp_path, context))


def test_sets_that_do_not_suit_are_said(context, tmp_path):
    source = split_set(tmp_path / "in", 8)
    bright = replace(source, items=tuple(item for item in source.items if item.split != "train" or item.labels[0] == "yes"))
    other = replace(source, items=tuple(item._replace(labels=("perhaps",)) for item in source.items))
    nobody = replace(source, items=())
    for question, why in (
        (Survey(source, nobody, ("class",)), "target has no pictures"),
        (Survey(bright, source, ("class",)), "All training pictures have the same label"),
        (Survey(source, source, ("class",), adapted=other), "adapted set has the label 'perhaps'"),
    ):
        with pytest.raises(ShiftlabError, match=why):
            list(survey(question, SETTINGS, tmp_path / "out", context))


def test_tables_that_are_not_there_are_said(tmp_path):
    with pytest.raises(ShiftlabError, match="There are no shares in"):
        read_shares(tmp_path)
    (tmp_path / "shares.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ShiftlabError, match="not the table that was written"):
        read_shares(tmp_path)

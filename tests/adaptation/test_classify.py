"""Classifiers of several arms and seeds: they learn, they are the same after a stop, and what cannot be is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from core.adaptation.classifier import Classifier, ClassifierSettings, SeedCNN, load_classifier
from core.adaptation.classify import Domains, classifier_file, classify, correct, prediction_file
from core.adaptation.fit import class_weights, predictions
from core.adaptation.pixels import chosen, mapped
from core.data.checkpoints import FolderCheckpoints
from core.types import ShiftlabError, StepEvent, Stopped
from tests.adaptation.helpers import split_set
from tests.methods.conftest import Memory

SETTINGS = ClassifierSettings(epochs=3, seeds=2, batch_size=8)


@pytest.fixture(scope="module")
def domains(tmp_path_factory):
    folder = tmp_path_factory.mktemp("domains")
    sets = {name: split_set(folder / name, 20, seed=k) for k, name in enumerate(("source", "adapted", "target"))}
    return Domains(sets["source"], sets["adapted"], "class", sets["target"], dropped=("yes/0.png",))


def run(domains, folder, context, arms=("source", "both"), settings=SETTINGS) -> list[StepEvent]:
    return list(classify(domains, arms, 16, settings, folder, context))


@pytest.fixture(scope="module")
def whole(domains, context, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(domains, folder, replace(context, checkpoints=Memory()))


def test_each_epoch_is_measured_in_every_domain(whole):
    folder, events = whole
    trained = [event for event in events if event.phase.startswith("train")]
    assert [event.step for event in trained] == list(range(1, 13)) and trained[0].total == 12
    assert [event.phase for event in trained[2:4]] == ["train on source", "train on both"]
    numbers = trained[-1].numbers
    assert {"loss", "validation_loss", "source_accuracy", "target_accuracy", "adapted_loss"} <= numbers.keys()
    assert numbers["source_accuracy"] > 0.9 and (numbers["seed"], numbers["epoch"]) == (1, 3)
    assert correct(folder, "both", 1, "target").mean() == numbers["target_accuracy"]


@pytest.mark.long
def test_a_stopped_comparison_goes_on_to_the_bit(domains, context, whole, tmp_path):
    saved, steps = [], []
    memory = FolderCheckpoints(tmp_path / "checkpoints", saved.append)

    def in_the_third_classifier() -> bool:  # an epoch of it, and whole classifiers before it, are saved by then
        return len(saved) >= 7

    stopping = replace(context, checkpoints=memory, should_stop=in_the_third_classifier)
    with pytest.raises(Stopped):
        for event in classify(domains, ("source", "both"), 16, SETTINGS, tmp_path, stopping):
            steps.append(event)
    assert prediction_file(tmp_path, "both", 0).is_file() and not prediction_file(tmp_path, "source", 1).is_file()
    rest = run(domains, tmp_path, replace(context, checkpoints=memory))
    assert next(event.step for event in rest if event.phase.startswith("train")) <= 8  # the epoch that was saved is not learned again
    trained = {event.step: event.numbers for event in [*steps, *rest] if event.phase.startswith("train")}
    assert trained == {event.step: event.numbers for event in whole[1] if event.phase.startswith("train")}
    a, b = (load_classifier(classifier_file(folder, "both", 1)).network.state_dict() for folder in (tmp_path, whole[0]))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not run(domains, tmp_path, context)  # finished: nothing is trained again


@pytest.mark.long
def test_audited_and_oracle_have_their_own_pictures(domains, context, tmp_path):
    run(
        domains,
        tmp_path,
        replace(context, checkpoints=Memory()),
        ("adapted", "audited", "target"),
        SETTINGS.model_copy(update={"seeds": 1}),
    )
    counts = {arm: json.loads(prediction_file(tmp_path, arm, 0).read_text())["trained on"] for arm in ("adapted", "audited", "target")}
    lost = sum(item.name == "yes/0.png" and item.split == "train" for item in domains.adapted.items)
    assert counts == {"adapted": 20, "audited": 20 - lost, "target": 20}


@pytest.mark.long
def test_early_stop_keeps_the_best_epoch(domains, context, tmp_path):
    settings = ClassifierSettings(epochs=40, seeds=1, patience=1, batch_size=8, learning_rate=0.02, class_weights=True)
    events = run(domains, tmp_path, replace(context, checkpoints=Memory()), ("source",), settings)
    losses = [event.numbers["validation_loss"] for event in events if event.phase.startswith("train")]
    assert len(losses) < 40 and losses[-1] >= min(losses)
    best = min(range(len(losses)), key=losses.__getitem__)
    assert best == len(losses) - 2


@pytest.mark.long
@pytest.mark.parametrize("model", ["cnn", "resnet10t", "mobilenetv3_small_050"])
def test_three_classes_with_each_network(model, context, tmp_path):
    labelled = split_set(tmp_path / "set", 10, classes=("dark", "grey", "light"))
    settings = ClassifierSettings(model=model, epochs=1, seeds=1, batch_size=7)
    events = run(Domains(labelled, labelled, "class"), tmp_path / "run", context, ("source",), settings)
    assert 0 <= events[-1].numbers["source_accuracy"] <= 1
    found = load_classifier(classifier_file(tmp_path / "run", "source", 0))
    assert found.classes == ("dark", "grey", "light") and found.probabilities(torch.zeros(2, 3, 16, 16)).sum(1) == pytest.approx([1, 1])


def test_what_cannot_be_is_refused(domains, context, tmp_path):
    with pytest.raises(ShiftlabError, match="nothing for 'target' to learn from"):
        run(replace(domains, target=None), tmp_path, context, ("target",))
    one = replace(domains.source, items=tuple(domains.source.labelled("class").items[:5]))
    with pytest.raises(ShiftlabError, match="same label"):
        run(replace(domains, source=one), tmp_path, context)
    whole = replace(domains.source, items=tuple(item._replace(split="train") for item in domains.source.items))
    with pytest.raises(ShiftlabError, match="no test split"):
        run(replace(domains, source=whole), tmp_path, context)
    taught = replace(domains.target, items=tuple(domains.target.split("train")))
    with pytest.raises(ShiftlabError, match="target set has a split without test"):
        run(replace(domains, target=taught), tmp_path / "taught", context)
    strange = replace(domains.target, items=tuple(item._replace(labels=("maybe",)) for item in domains.target.items))
    with pytest.raises(ShiftlabError, match="'maybe'"):
        run(replace(domains, target=strange), tmp_path / "strange", context)
    with pytest.raises(ShiftlabError, match="too small"):
        SeedCNN(4, 1)
    with pytest.raises(ShiftlabError, match="no classifier"):
        load_classifier(tmp_path / "nothing.safetensors")


@pytest.mark.long
def test_the_network_is_the_experiments():
    assert sum(weight.numel() for weight in SeedCNN(256, 1).parameters()) == 93_248 + 128 * 32 * 32 * 512 + 512 + 513
    assert Classifier("cnn", 16, ("a", "b"), "cross_entropy").losses(torch.zeros(3, 3, 16, 16), torch.tensor([0, 1, 1])).shape == (3,)


def test_class_weights_count_every_class_alike():
    weights = class_weights(torch.tensor([0, 0, 0, 1]), 3)
    assert weights.tolist() == pytest.approx([2 / 3, 2.0, 0.0])


def test_pixels_are_mapped_once(domains, tmp_path):
    def walk():
        return (yield from mapped(domains.source, 16, tmp_path / "a.npy"))

    steps = list(walk())
    assert steps[-1].step == 40 and not list(walk())
    walker = walk()
    with pytest.raises(StopIteration) as end:
        next(walker)
    pictures = chosen(end.value.value, domains.source, "class", ("no", "yes"), "test")
    x, y = (pictures + pictures).batch(torch.tensor([0, len(pictures)]))
    assert torch.equal(x[0], x[1]) and x.dtype == torch.float32 and y[0] == y[1] and x.abs().max() <= 1
    assert len(predictions(Classifier("cnn", 16, ("no", "yes"), "bce"), pictures)) == len(pictures) == 12

"""The comparison: classifiers trained on source, adapted, both, audited or target pictures, each with several seeds, one after the other.

A run's folder gets pixels/ (see pixels.py), classifiers/<arm>-<seed>.safetensors, and predictions/<arm>-<seed>.json, which is written last:
where it is, this classifier is finished. The numbers of each epoch are the run's events, phase "train on <arm>".
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from core.adaptation.classifier import Classifier, ClassifierSettings
from core.adaptation.fit import Arm, fit, predictions
from core.adaptation.pixels import Pictures, chosen, mapped
from core.data.labelled import LabelledSet
from core.data.text_files import write_text
from core.methods.walks import retold, stoppable
from core.types import Context, ShiftlabError, StepEvent

ArmName = Literal["source", "adapted", "both", "audited", "target"]
ARMS: tuple[ArmName, ...] = ("source", "adapted", "both", "audited", "target")
PHASE = "train on {}"


@dataclass(frozen=True)
class Domains:
    """What is compared. adapted: the source set carried across; target: true pictures of the target, labelled, where there are any.

    dropped: names of adapted pictures that the audit took out; they count for the arm "audited" alone.
    """

    source: LabelledSet
    adapted: LabelledSet
    column: str
    target: LabelledSet | None = None
    dropped: tuple[str, ...] = ()

    def possible_arms(self) -> list[ArmName]:
        """The arms that there are pictures for."""
        oracle = self.target is not None and bool(self.target.split("train"))
        return [arm for arm in ARMS if (arm != "target" or oracle) and (arm != "audited" or self.dropped)]


def classify(
    domains: Domains, arms: Sequence[ArmName], size: int, settings: ClassifierSettings, folder: Path, context: Context
) -> Iterator[StepEvent]:
    """Yields "read" and "train on <arm>" events. Numbers of the latter: see `fit`, with "seed" and "epoch".

    Raises ShiftlabError for an arm that there are no pictures for, or a column with fewer than two classes.
    """
    for arm in arms:
        if arm not in domains.possible_arms():
            raise ShiftlabError(f"There is nothing for {arm!r} to learn from. Choose among: {', '.join(domains.possible_arms())}.")
    classes = tuple(domains.source.classes(domains.column))
    if len(classes) < 2:
        raise ShiftlabError(f"All pictures have the same label in {domains.column}. Choose another column.")
    parts = yield from stoppable(_parts(domains, classes, size, folder), context)
    runs = [(arm, settings.seed + k) for k in range(settings.seeds) for arm in arms]
    for place, (arm, seed) in enumerate(runs):
        if prediction_file(folder, arm, seed).is_file():
            continue
        yield from _one(_arm(arm, parts), seed, place, len(runs), classes, size, settings, folder, context)


def prediction_file(folder: Path, arm: str, seed: int) -> Path:
    """What a finished classifier said of every test picture: {"classes", "tests": {domain: {"names"?, "truth", "said"}}}."""
    return folder / "predictions" / f"{arm}-{seed}.json"


def classifier_file(folder: Path, arm: str, seed: int) -> Path:
    """Its weights, for `load_classifier`."""
    return folder / "classifiers" / f"{arm}-{seed}.safetensors"


Parts = dict[str, dict[str, Pictures]]


def _parts(domains: Domains, classes: tuple[str, ...], size: int, folder: Path) -> Generator[StepEvent, None, Parts]:
    """By domain and split. "audited" is the adapted set without what was dropped; a target without a split is a test set altogether."""
    sets = {"source": domains.source, "adapted": domains.adapted, **({"target": domains.target} if domains.target is not None else {})}
    parts: Parts = {}
    for name, labelled in sets.items():
        pixels = yield from mapped(labelled, size, folder / "pixels" / f"{name}-{size}.npy")
        splits = ("train", "validation", "test")
        parts[name] = {split: chosen(pixels, labelled, domains.column, classes, split) for split in splits}
        if name == "adapted":
            parts["audited"] = {split: chosen(pixels, labelled, domains.column, classes, split, domains.dropped) for split in splits}
        if name == "target" and not any(len(part) for part in parts[name].values()):
            parts[name]["test"] = chosen(pixels, labelled, domains.column, classes, "")
    if not len(parts["source"]["test"]):
        raise ShiftlabError("The source set has no test split, so nothing could be measured. Draw a split first.")
    if "target" in parts and not len(parts["target"]["test"]):
        raise ShiftlabError("The target set has a split without test pictures, so nothing could be measured there. Draw a split for it.")
    return parts


def _arm(name: ArmName, parts: Parts) -> Arm:
    tests = {domain: parts[domain]["test"] for domain in ("source", "adapted", "target") if domain in parts}
    if name == "both":
        return Arm(
            name,
            parts["source"]["train"] + parts["adapted"]["train"],
            parts["source"]["validation"] + parts["adapted"]["validation"],
            tests,
        )
    return Arm(name, parts[name]["train"], parts[name]["validation"], tests)


def _one(
    arm: Arm, seed: int, place: int, runs: int, classes: tuple[str, ...], size: int, settings: ClassifierSettings, folder: Path,
    context: Context,
) -> Iterator[StepEvent]:  # fmt: skip
    """One classifier to its end; its steps are counted through all of them."""
    before, total = place * settings.epochs, runs * settings.epochs
    walk = fit(arm, classes, size, settings, seed, context, before)

    def told(step: tuple[int, dict[str, float]]) -> StepEvent:
        epoch, numbers = step
        return StepEvent(PHASE.format(arm.name), before + epoch, total, {"seed": seed, "epoch": epoch, **numbers})

    _keep((yield from retold(walk, told)), arm, seed, folder)


def _keep(found: Classifier, arm: Arm, seed: int, folder: Path) -> None:
    found.save(classifier_file(folder, arm.name, seed), {"arm": arm.name, "seed": seed})
    tests = {
        domain: {"rows": pictures.rows.tolist(), "truth": pictures.y.tolist(), "said": predictions(found, pictures).tolist()}
        for domain, pictures in arm.tests.items()
    }
    write_text(
        prediction_file(folder, arm.name, seed), json.dumps({"classes": found.classes, "trained on": len(arm.train), "tests": tests})
    )


def tested(folder: Path, arm: str, seed: int, domain: str) -> dict[str, list[int]]:
    """What a finished classifier said of the test pictures of a domain: {"rows", "truth", "said"}, of one length."""
    return json.loads(prediction_file(folder, arm, seed).read_text(encoding="utf-8"))["tests"][domain]


def correct(folder: Path, arm: str, seed: int, domain: str) -> np.ndarray:
    """Which test pictures of a domain a finished classifier read right: bool `(n,)`, in the set's order."""
    test = tested(folder, arm, seed, domain)
    return np.array(test["truth"]) == np.array(test["said"])

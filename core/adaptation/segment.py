"""The one-shot comparison: segmenters that learned from the source alone, and that adapted to one target image or to images made from it.

- *source*: labelled source scenes only;
- *one_shot*: self-training with copies and crops of the one target image as its target set, the control;
- *generated*: self-training with the images that a model personalised on this one image made (DATUM, Benigmim et al., CVPRW 2023);
- *carried*: learns from labelled source scenes that this model carried to the target as well (carried.py); where the settings say so, it
  also teaches itself on the one image as the control does;
- *target*: supervised on labelled target scenes, the oracle, where there are any.

A run's folder gets pixels/, segmenters/<arm>-<seed>/, and measured/<arm>-<seed>.safetensors, which is written last: where it is, this one
is finished. The numbers of each measurement are the run's events, phase "train on <arm>".
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import ImageOps
from safetensors.torch import save_file

from core.adaptation.classify import PHASE
from core.adaptation.segment_fit import Lesson, Numbers, SegmentTraining, fit_segmenter, matrices, measured
from core.adaptation.segment_overlays import overlays
from core.adaptation.segment_pixels import Scenes, check_crop, mapped_scenes
from core.adaptation.segment_settings import SegmentSettings
from core.adaptation.segmenter import Segmenter, class_names, load_segmenter, new_segmenter
from core.data.images import decode_image
from core.data.segmented import SegmentedImage, SegmentedSet, held_out
from core.methods.walks import retold, stoppable
from core.models.segformer import check_side
from core.types import Context, ShiftlabError, StepEvent

SegmentArm = Literal["source", "one_shot", "generated", "carried", "target"]
SEGMENT_ARMS: tuple[SegmentArm, ...] = ("source", "one_shot", "generated", "carried", "target")
TAUGHT = {"one_shot": "one_shot", "generated": "generated", "carried": "one_shot"}  # arms that teach themselves (the last: if told to)
FURTHEST = tuple(reversed(TAUGHT))  # of what is there the first is told in a sentence
SHOWN = 4  # scenes whose predictions are shown at each measurement
Parts = dict[str, Scenes]


@dataclass(frozen=True)
class SegmentDomains:
    """What is compared: source, labelled and split; one_shot, the target image; generated, unlabelled; target, labelled true scenes;
    carried, labelled source scenes that look like the target; large, the names of the classes that were carried.
    """

    source: SegmentedSet
    one_shot: Path | None = None
    generated: SegmentedSet | None = None
    target: SegmentedSet | None = None
    carried: SegmentedSet | None = None
    large: tuple[str, ...] = ()

    def possible_arms(self) -> list[SegmentArm]:
        """The arms that there are pictures for."""
        oracle = self.target is not None and bool(self.target.split("train"))
        image = self.one_shot is not None
        given = {
            "source": True, "one_shot": image, "generated": self.generated is not None, "carried": image and self.carried is not None,
            "target": oracle,
        }  # fmt: skip
        return [arm for arm in SEGMENT_ARMS if given[arm]]


def segment(
    domains: SegmentDomains, arms: Sequence[SegmentArm], settings: SegmentSettings, folder: Path, context: Context,
    earlier: Path | None = None,
) -> Iterator[StepEvent]:  # fmt: skip
    """Yields "read" and "train on <arm>" events; numbers of the latter: see `fit_segmenter`, with "seed" and "iteration".

    earlier: the folder of a comparison of the same source and settings, whose source-only segmenters are measured here and not trained.
    Where adaptation starts from the source, the arm "source" is trained in any case.
    Raises ShiftlabError for an arm that there are no pictures for, no test images, or a crop that does not fit.
    """
    for arm in arms:
        if arm not in domains.possible_arms():
            raise ShiftlabError(f"There is nothing for {arm!r} to learn from. Choose among: {', '.join(domains.possible_arms())}.")
    if domains.target is not None:
        need_tests(domains.target)
    needed = {*arms, *(("source",) if settings.start == "source" else ())}
    parts = yield from stoppable(_parts(domains, settings, folder), context)
    lessons = [_lesson(arm, parts, settings, small_places(domains)) for arm in SEGMENT_ARMS if arm in needed]
    total = settings.seeds * sum(lesson.updates(settings) for lesson in lessons)
    done = 0
    for seed in range(settings.seed, settings.seed + settings.seeds):
        for lesson in lessons:
            if measured_file(folder, lesson.name, seed).is_file():
                pass  # finished
            elif lesson.name == "source" and earlier is not None and segmenter_folder(earlier, "source", seed).is_dir():
                yield _taken_over(earlier, lesson, seed, settings, (done, total), folder, context)
            else:
                yield from _one(lesson, seed, (done, total), domains.source, settings, folder, context)
            done += lesson.updates(settings)


def segmenter_folder(folder: Path, arm: str, seed: int) -> Path:
    """A finished segmenter, for `load_segmenter`."""
    return folder / "segmenters" / f"{arm}-{seed}"


def measured_file(folder: Path, arm: str, seed: int) -> Path:
    """What came of it: by domain the confusion matrix of each picture `(n, classes, classes)`, in the header classes and facts."""
    return folder / "measured" / f"{arm}-{seed}.safetensors"


def _parts(domains: SegmentDomains, settings: SegmentSettings, folder: Path) -> Generator[StepEvent, None, Parts]:
    """Scenes by "<domain> <use>"."""
    names = class_names(domains.source.classes)
    wanted = {f"{domain} test": found for domain, found in test_items(domains).items()}
    for name, found in (("source", domains.source), ("target", domains.target)):
        wanted[f"{name} train"] = (found, found.split("train") if found is not None else [])
    for name, given in (("generated", domains.generated), ("carried", domains.carried)):
        wanted[name] = (given, given.items if given is not None else [])
    parts: Parts = {}
    for name, (found, items) in wanted.items():
        if found is not None and items:
            parts[name] = yield from mapped_scenes(found, items, names, settings.height, folder / "pixels" / name.replace(" ", "-"))
    if domains.one_shot is not None:
        parts["one_shot"] = one_scene(domains.one_shot, settings.height, len(names))
    if "source train" not in parts or "source test" not in parts:
        raise ShiftlabError("The source set has no train or no test split. Draw a split first.")
    return parts


def test_items(domains: SegmentDomains) -> dict[str, tuple[SegmentedSet | None, Sequence[SegmentedImage]]]:
    """By domain, what to measure on."""
    source, target = domains.source, domains.target
    return {
        "source": (source, held_out(source)),
        "target": (target, _target_tests(target) if target is not None else []),
    }


def _target_tests(target: SegmentedSet) -> list[SegmentedImage]:
    """A labelled target without a split is a test set altogether."""
    return held_out(target) or target.split("")


def need_tests(target: SegmentedSet) -> None:
    """Raises ShiftlabError for a labelled target that nothing can be measured on."""
    if not _target_tests(target):
        raise ShiftlabError(
            "All scenes of the labelled target are for training, so nothing could be measured there. Give it scenes in val/ or test/, or "
            "take the folder train/ away: without a split the whole set tests."
        )


def one_scene(path: Path, height: int, classes: int) -> Scenes:
    """One unlabelled picture at this height."""
    image = decode_image(path)
    fitted = ImageOps.fit(image, (max(1, round(image.width * height / image.height)), height))
    return Scenes(np.moveaxis(np.asarray(fitted), -1, 0)[None].copy(), None, np.zeros((1, classes), np.int64))


def small_places(domains: SegmentDomains) -> tuple[int, ...]:
    """The places of the source's classes that are not carried."""
    return tuple(place for place, name in enumerate(class_names(domains.source.classes)) if name not in domains.large)


def _lesson(arm: SegmentArm, parts: Parts, settings: SegmentSettings, small: tuple[int, ...]) -> Lesson:
    tests = {domain: parts[f"{domain} test"] for domain in ("source", "target") if f"{domain} test" in parts}
    source, carried = parts["target train" if arm == "target" else "source train"], parts["carried"] if arm == "carried" else None
    teaches = arm in TAUGHT and (arm != "carried" or settings.carried_teaches)
    target = parts[TAUGHT[arm]] if teaches else None
    check_crop(source, settings.crop, f"the labelled pictures of {arm!r}")
    if target is not None:
        check_crop(target, settings.crop, "the generated images" if arm == "generated" else "the one-shot image")
    if carried is not None:
        check_crop(carried, settings.crop, "the carried scenes")
    return Lesson(arm, source, target, tests, carried, small)


def _one(
    lesson: Lesson, seed: int, where: tuple[int, int], source: SegmentedSet, settings: SegmentSettings, folder: Path, context: Context
) -> Iterator[StepEvent]:
    """One segmenter to its end; its updates are counted through all of them. where: (updates of those before, of all)."""
    if lesson.name in TAUGHT and settings.start == "source":
        first = load_segmenter(segmenter_folder(folder, "source", seed), context.device, context.dtype)
    else:
        first = new_segmenter(settings.model, source.classes, seed, context.device, context.dtype)
    check_side(first.network, settings.crop)
    training, began = SegmentTraining(lesson, first, settings, seed), time.perf_counter()
    walk = fit_segmenter(training, f"{lesson.name}-{seed}", where[0], context)

    def told(at: tuple[int, Numbers]) -> StepEvent:
        step, numbers = at
        shown = overlays(training.teacher, _shown(lesson)) if numbers else None
        numbers = {"seed": seed, "iteration": step, **numbers} if numbers else {}
        return StepEvent(PHASE.format(lesson.name), where[0] + step, where[1], numbers, shown)

    found = yield from retold(walk, told)
    _keep(found, lesson, seed, time.perf_counter() - began, folder, context)


def _taken_over(
    earlier: Path, lesson: Lesson, seed: int, settings: SegmentSettings, where: tuple[int, int], folder: Path, context: Context
) -> StepEvent:
    """A source-only segmenter that was trained before, measured on this comparison's scenes; its one event."""
    updates, phase = lesson.updates(settings), PHASE.format(lesson.name)
    found = load_segmenter(segmenter_folder(earlier, lesson.name, seed), context.device, context.dtype)
    numbers = {"seed": seed, "iteration": updates, **measured(found, lesson.tests, context)}
    _keep(found, lesson, seed, 0.0, folder, context)
    shown = overlays(found, _shown(lesson))
    return StepEvent(phase, where[0] + updates, where[1], numbers, shown, "Source only was taken over from the comparison before.")


def _shown(lesson: Lesson) -> torch.Tensor:
    """The first test scenes of the target, else of the source."""
    scenes = lesson.tests.get("target", lesson.tests["source"])
    return torch.stack([scenes.picture(place) for place in range(min(SHOWN, len(scenes)))])


def _keep(found: Segmenter, lesson: Lesson, seed: int, seconds: float, folder: Path, context: Context) -> None:
    found.save(segmenter_folder(folder, lesson.name, seed))
    tables = {domain: matrices(found, scenes, context).to(torch.int32) for domain, scenes in lesson.tests.items()}
    path = measured_file(folder, lesson.name, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    learned = next(len(part) for part in (lesson.carried, lesson.target, lesson.source) if part is not None)
    facts = {"classes": found.names, "trained on": learned, "seconds": round(seconds, 1)}  # seconds: since the last resume
    save_file(tables, temporary, {"facts": json.dumps(facts)})
    os.replace(temporary, path)

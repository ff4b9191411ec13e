"""The one-shot comparison as a job of the lab's queue: `lab.start(SegmentTask(…), name)`.

Labelled sets are handed over as index files (`SegmentedSet.save`), for a job outlives the page and the process that began it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from core.adaptation.carried import Carrying, carry_scenes, is_carried
from core.adaptation.oneshot_jobs import kept_model
from core.adaptation.segment import SegmentArm, SegmentDomains, need_tests, segment
from core.adaptation.segment_report import SegmentStudy, Shown, segment_export
from core.adaptation.segment_settings import OF_ADAPTATION, SegmentSettings
from core.adaptation.segment_shown import finished_segmenters, look_at, mapped_tests
from core.data.images import decode_image
from core.data.pictures import enlarge, side_by_side
from core.data.segmented import SegmentedSet, load_segmented, read_segmented, read_unlabelled
from core.jobs.runs import RunFolder
from core.jobs.tasks import Task, Tools
from core.methods.datum_carry import CarrySettings
from core.methods.datum_student import personalised
from core.types import Context, ShiftlabError, StepEvent

GENERATED_INDEX, ONE_SHOT, CARRIED = "generated.jsonl", "one_shot", "carried"  # what a run keeps of what it was given
SHOWN_SCENES, SIDE = 8, 320


class SegmentTask(Task):
    """Segmenters trained and compared.

    source: index of the labelled source set, with a split. one_shot: the target image. images: folder or ZIP of unlabelled target images,
    as a GenerateTask makes them. target: index of labelled target scenes to measure on; with a train split it gives the oracle.
    weights: a personalised model, as a PersonaliseTask keeps them, which carries labelled scenes where that arm is chosen.
    earlier: the folder of a comparison whose source-only segmenters are taken over, if its source and settings are these.
    """

    kind: ClassVar[str] = "segment"
    source: Path
    one_shot: Path | None = None
    images: Path | None = None
    target: Path | None = None
    arms: tuple[SegmentArm, ...] = ("source", "one_shot", "generated")
    settings: SegmentSettings = SegmentSettings()
    weights: Path | None = None
    carry: CarrySettings = CarrySettings()
    earlier: Path | None = None

    def domains(self, folder: Path) -> SegmentDomains:
        """The sets, read from their indices. The run in `folder` keeps the one-shot image, and which generated images there were."""
        target = load_segmented(self.target) if self.target is not None else None
        given = self._brought(folder), self._generated(folder), target, self._carried(folder)
        return SegmentDomains(load_segmented(self.source), *given, self.carry.large_classes())

    def run(self, folder: Path, tools: Tools) -> Iterator[StepEvent]:
        if self.target is not None:
            need_tests(load_segmented(self.target))  # before scenes are carried, which takes long
        if "carried" in self.arms and not is_carried(folder / CARRIED):
            yield from self._carry(folder, tools.context)
        earlier = self.earlier if self.earlier is not None and self._has_same_source(self.earlier) else None
        yield from segment(self.domains(folder), self.arms, self.settings, folder, tools.context, earlier)

    def _carry(self, folder: Path, context: Context) -> Iterator[StepEvent]:
        if self.weights is None:
            raise ShiftlabError("Scenes are carried by a personalised model, and none is given. Personalise one on the target image first.")
        if self.one_shot is None:
            raise ShiftlabError("With carried scenes a segmenter teaches itself on the target image, and none is given. Name it, too.")
        model, edit = context.text_to_image(), kept_model(self.weights)
        carrying = Carrying(load_segmented(self.source), model, personalised(model, edit), edit.card.target_prompt, self.carry)
        return carry_scenes(carrying, folder / CARRIED, context)

    def study(self, folder: Path, title: str, note: str = "") -> SegmentStudy:
        """What a report of the run in `folder` is made of; test scenes of the target, where there are labelled ones, else of the source."""
        domains = self.domains(folder)
        scenes = mapped_tests(domains, self.settings.height, folder, "source" if self.target is None else "target")
        found = finished_segmenters(folder)
        places = range(0, len(scenes), max(1, len(scenes) // SHOWN_SCENES))[:SHOWN_SCENES]
        looks = (look_at(scenes, place, found) for place in places)
        shown = [Shown(side_by_side([enlarge(image, SIDE) for _, image in look]), ", ".join(word for word, _ in look)) for look in looks]
        return SegmentStudy(title, folder, domains.source.classes, self.model_dump(mode="json"), shown, note)

    def export(self, folder: Path, out: Path, title: str, note: str = "") -> list[Path]:
        """The report's files (see core/adaptation/segment_report.py) of the run in `folder`."""
        return segment_export(self.study(folder, title, note), out)

    def _has_same_source(self, earlier: Path) -> bool:
        """Whether source-only segmenters there are what they would become here. A folder that is gone is no matter."""
        try:
            before = SegmentTask(**RunFolder(earlier).settings())
        except (OSError, ValueError, KeyError):
            return False
        same = before.settings.model_dump(exclude=OF_ADAPTATION) == self.settings.model_dump(exclude=OF_ADAPTATION)
        return same and before.source == self.source

    def _generated(self, folder: Path) -> SegmentedSet | None:
        return _indexed(folder / GENERATED_INDEX, lambda: read_unlabelled(self.images)) if self.images is not None else None

    def _carried(self, folder: Path) -> SegmentedSet | None:
        carried = folder / CARRIED
        return _indexed(folder / f"{CARRIED}.jsonl", lambda: read_segmented(carried)) if is_carried(carried) else None

    def _brought(self, folder: Path) -> Path | None:
        """The one-shot image in the run's folder, copied there at its first start. Raises ShiftlabError for what is no image."""
        if self.one_shot is None:
            return None
        copy = folder / f"{ONE_SHOT}{self.one_shot.suffix}"
        if not copy.is_file():
            decode_image(self.one_shot)
            shutil.copyfile(self.one_shot, unfinished := copy.with_name(f".{copy.name}"))
            unfinished.replace(copy)
        return copy


def _indexed(index: Path, read: Callable[[], SegmentedSet]) -> SegmentedSet:
    """The set as the run's index has it, which is written when it is first looked for."""
    if not index.is_file():
        read().save(index)
    return load_segmented(index)

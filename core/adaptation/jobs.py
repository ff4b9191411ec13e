"""The three jobs on labelled sets, as the lab's queue takes them: `lab.start(AdaptTask(…), name)`.

Sets are handed over as index files (`LabelledSet.save`), for a job outlives the page and the process that began it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, ValidationError

from core.adaptation.adapt import Adaptation, adapt, adapted_set, facts_of
from core.adaptation.audit import AUDIT, Question, audit
from core.adaptation.carry import take_over
from core.adaptation.classifier import ClassifierSettings, load_classifier
from core.adaptation.classify import ArmName, Domains, classify
from core.adaptation.oneshot_jobs import GenerateTask, PersonaliseTask
from core.adaptation.pairs import in_order, manifest, pairs
from core.adaptation.report import Study, export
from core.adaptation.segment_jobs import SegmentTask
from core.adaptation.share_jobs import SharesTask
from core.data.checkpoints import FolderCheckpoints
from core.data.labelled import load_set
from core.jobs.runs import RunFolder
from core.jobs.tasks import Task, Tools
from core.types import ShiftlabError, StepEvent

ADAPTED = "adapted"  # folder of the adapted set in an adapt run's folder
SHOWN_PAIRS = 6  # of the worst identity, and as many spread over the set


class AdaptTask(Task):
    """A set carried across; the result lies in the run's folder under "adapted". See core/adaptation/adapt.py.

    earlier: folders of runs, from which pictures of the same set, edit and settings are taken over; a folder that is gone is no matter.
    """

    kind: ClassVar[str] = "adapt"
    index: Path
    method: str
    settings: dict[str, Any]
    edits: tuple[str, ...] = ()
    seed: int = Field(0, ge=0)
    batch: int = Field(16, ge=1, le=1024)
    earlier: tuple[Path, ...] = ()

    def run(self, folder: Path, tools: Tools) -> Iterator[StepEvent]:
        method = tools.methods.get(self.method)
        if method is None or method.edit_settings is None:
            raise ShiftlabError(f"The method {self.method!r} edits nothing in this lab. Choose another one.")
        settings = method.edit_settings(**self.settings)
        edits = tuple((key, tools.load_edit(key)) for key in self.edits)
        adaptation = Adaptation(method, settings, edits, self.seed, self.batch)
        yield from adapt(load_set(self.index), adaptation, folder / ADAPTED, tools.context, earlier=[run / ADAPTED for run in self.earlier])


class ClassifyTask(Task):
    """Classifiers trained and compared. adapted: the folder of an adapted set; target: the index of true target pictures, if any.

    earlier: the folder of a comparison of the same sets, whose finished classifiers are taken over; a folder that is gone is no matter.
    """

    kind: ClassVar[str] = "classify"
    index: Path
    adapted: Path
    column: str
    arms: tuple[ArmName, ...] = ("source", "adapted")
    target: Path | None = None
    dropped: tuple[str, ...] = ()
    settings: ClassifierSettings = ClassifierSettings()
    earlier: Path | None = None

    def domains(self) -> Domains:
        """The sets, read from their indices."""
        target = load_set(self.target) if self.target is not None else None
        return Domains(load_set(self.index), adapted_set(self.adapted), self.column, target, self.dropped)

    def run(self, folder: Path, tools: Tools) -> Iterator[StepEvent]:
        size = int(facts_of(self.adapted)["image_size"])
        if self.earlier is not None and (taken := self._taken_over(self.earlier, folder)):
            yield StepEvent("read", 0, 1, note=f"Taken over from the comparison before: {', '.join(taken)}.")
        yield from classify(self.domains(), self.arms, size, self.settings, folder, tools.context)

    def _taken_over(self, earlier: Path, folder: Path) -> list[str]:
        """The arms of which something was finished there, on the same pictures with the same settings."""
        try:
            before = ClassifyTask(**RunFolder(earlier).settings())
        except (OSError, ValueError, KeyError):
            return []
        if self._pictures() != before._pictures():
            return []
        runs = [(arm, self.settings.seed + k) for k in range(self.settings.seeds) for arm in self.arms]
        but = () if self.dropped == before.dropped else ("audited",)
        return list(dict.fromkeys(arm for arm, _ in take_over(earlier, folder, runs, self.settings.epochs, but)))

    def _pictures(self) -> tuple[Any, ...]:
        """What every classifier but the audited one depends on."""
        return self.index, self.adapted, self.column, self.target, self.settings.model_copy(update={"seeds": 1})

    def study(self, folder: Path, title: str, note: str = "") -> Study:
        """What a report of the run in `folder` is made of; what was noted of the set, as that it was rebalanced, follows the note."""
        source, names = load_set(self.index), in_order(manifest(self.adapted))
        note = " ".join([note, *source.report.notes]).strip()
        spread = names[SHOWN_PAIRS :: max(1, len(names) // SHOWN_PAIRS)][:SHOWN_PAIRS]
        shown = list(pairs(source, self.adapted, [*names[:SHOWN_PAIRS], *spread]))
        return Study(title, folder, self.adapted, self.model_dump(mode="json"), shown, note)

    def export(self, folder: Path, out: Path, title: str, note: str = "") -> list[Path]:
        """The report's files (see core/adaptation/report.py) of the run in `folder`."""
        return export(self.study(folder, title, note), out)


class AuditTask(Task):
    """The label audit of an adapted set; the table lies in the run's folder as audit.csv. classifier: one trained on source pictures."""

    kind: ClassVar[str] = "audit"
    adapted: Path
    column: str
    classifier: Path
    prompts: dict[str, str] = Field(default_factory=dict)

    def run(self, folder: Path, tools: Tools) -> Iterator[StepEvent]:
        classifier = load_classifier(self.classifier, tools.context.device)
        question = Question(adapted_set(self.adapted), self.adapted, self.column, classifier, self.prompts)
        yield from audit(question, tools.context, folder / AUDIT)


def in_foreground(task: Task, folder: Path, name: str, tools: Tools) -> Iterator[StepEvent]:
    """Runs a task here and now in a folder as the queue's, so that it goes on where it was stopped. Yields its events.

    An empty folder is as good as none. Raises ShiftlabError for one in which another task was begun, or that holds no run.
    """
    empty = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    run = RunFolder.create_task(folder, task, name) if empty else RunFolder(folder)
    try:
        same = _is_of(run, task)
    except OSError as error:
        raise ShiftlabError(f"{folder} is there and holds no run of Shiftlab. Choose another folder, or an empty one.") from error
    if not same:
        raise ShiftlabError(f"{folder} holds a run with other settings. Choose another folder.")
    checkpoints = FolderCheckpoints(run.checkpoints)
    for event in task.run(folder, replace(tools, context=replace(tools.context, checkpoints=checkpoints))):
        if event.numbers:
            run.add_numbers(event)
        if event.images is not None:
            run.add_samples(event.step, event.images)
        yield event


def _is_of(run: RunFolder, task: Task) -> bool:
    """Whether the folder's run was begun with this task. A run of an older lab lacks what is new in a task, so defaults are filled in."""
    try:
        return type(task)(**run.settings()) == task
    except ValidationError:
        return False


TASKS: dict[str, type[Task]] = {
    task.kind: task for task in (AdaptTask, ClassifyTask, AuditTask, SharesTask, PersonaliseTask, GenerateTask, SegmentTask)
}

"""The lab: what is loaded, which edits there are, and the jobs. The page, the command line and the tests all work through one of these.

A home folder holds jobs.sqlite (the table), runs/<id>/ (see core/jobs/runs.py), cache/trajectories/, models/ and models.json (see
core/models/shelf.py), and edits/ that were brought as files. One process has it at a time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from torch import Tensor

from core.adaptation.jobs import TASKS
from core.data.measured import MeasuredStore
from core.data.trajectories import TrajectoryStore
from core.jobs.desk import Desk
from core.jobs.errors import sentence
from core.jobs.estimate import Estimate, Probe, estimate, measure
from core.jobs.fetch import Fetcher
from core.jobs.home import HomeLock
from core.jobs.line import job_line
from core.jobs.lock import TicketLock
from core.jobs.machine import device_name, memory_line, pick_device, use_all_cores
from core.jobs.runs import RunFolder, new_run_id
from core.jobs.store import JobStore
from core.jobs.tasks import Task
from core.jobs.worker import Worker
from core.methods import METHODS
from core.methods.asyrp_steps import Curves, PerceptualCurve
from core.methods.strengths import at_strengths
from core.methods.within_memory import edit_within_memory
from core.metrics.perceptual import perceptual_for
from core.models import zoo
from core.models.base import Base
from core.models.clip import Clip
from core.models.download import download
from core.models.edit_shelf import SECOND, EditEntry, EditShelf
from core.models.identity import Identity
from core.models.memory import is_out_of_memory
from core.models.precision import dtype_of
from core.models.shelf import KINDS, TEXT_TO_IMAGE, Loaded, Shelf
from core.models.text_to_image import TextToImage
from core.types import Context, Edit, EditRequest, EditResult, Method, Settings, ShiftlabError, StepEvent, TrainRequest

STALE = "The lab ended while this was running. It can be resumed from its last saved step."
SHOWN_SAMPLES = 4


@dataclass(frozen=True)
class Status:
    """What the header shows, each a few words; job is empty where nothing runs."""

    base: str
    clip: str
    identity: str
    device: str
    memory: str
    job: str


@dataclass(frozen=True)
class Switched:
    """What a change of models brought: the new model's name, and the edits, by name, that could be used before and now cannot."""

    model: str
    lost: tuple[str, ...] = ()


class Lab(Desk):
    """Loads the models once and starts the worker.

    home: folder of runs, models and caches, made where missing. checkpoints: folder with base/, clip/, identity/ and edits/; what is
    missing or broken there, and was not chosen from elsewhere, is None here, and `status()` says so. device: "cpu", "cuda", "cuda:N",
    "mps", or None for the best that is there. precision: of the base's network, see `dtype_of`. models: a folder that stands in for the
    hub; both None as the environment says.
    Raises ShiftlabError for a home that another process holds or that cannot be written, for an unknown device, precision or folder.
    """

    def __init__(
        self, home: Path, checkpoints: Path, device: str | None = None, methods: Mapping[str, Method] = METHODS,
        precision: str | None = None, models: Path | None = None,
    ) -> None:  # fmt: skip
        self.home, self.checkpoints = Path(home).resolve(), Path(checkpoints)
        self.device = pick_device(device)
        self.dtype = dtype_of(precision, self.device)
        mirror = zoo.mirror_folder(models)
        self.methods = methods
        self.lock = TicketLock()
        self._home_lock = HomeLock(self.home)
        use_all_cores()
        self.shelf = Shelf(self.home, self.checkpoints, self.device, self.dtype, mirror)
        self.base: Base | None = self.shelf.load("base")
        self.clip: Clip | None = self.shelf.load("clip")
        self.identity: Identity | None = self.shelf.load("identity")
        self._text_to_image: TextToImage | None = None
        self.fetches = Fetcher(self._download)
        self.perceptual = perceptual_for(self.identity)
        self.store = TrajectoryStore(self.home / "cache" / "trajectories")
        self.measured = MeasuredStore(self.home / "cache" / "measured")
        self._probe: Probe | None = None
        self.runs = self.home / "runs"
        self.runs.mkdir(exist_ok=True)
        self._edits = EditShelf(self.checkpoints / "edits", self.home / "edits", self.runs, self.shelf.other_bases)
        jobs = JobStore(self.home / "jobs.sqlite")
        jobs.interrupt_stale(STALE)
        super().__init__(jobs, Worker(jobs, methods, self._training_context, self._base_state, TASKS, self.load_edit))
        self._worker.start()

    def close(self) -> None:
        """Saves and stops the running job, ends the worker and gives the home back."""
        self.fetches.close()
        self._worker.close()
        self.jobs.close()
        self._home_lock.release()

    def context(self, **overrides: Any) -> Context:
        """What a method may use, as a preview uses it."""
        context = Context(
            base=self._loaded_base(),
            clip=self.clip,
            identity=self.identity,
            perceptual=self.perceptual,
            store=self.store,
            measured=self.measured,
            text_to_image=self.text_to_image,
            device=self.device,
            dtype=self.dtype,
            lock=self.lock,
        )
        return dataclasses.replace(context, **overrides)

    def status(self) -> Status:
        """What is loaded and what runs, in words."""
        names = {part: self._part_name(part) for part in ("base", "clip", "identity")}
        line = job_line(self.jobs.list(), self.fetches.list())
        return Status(**names, device=device_name(self.device, self.dtype), memory=memory_line(self.device), job=line)

    # ---- models

    def models(self) -> list[Loaded]:
        """What is loaded, and why: base, CLIP, identity, and the text-to-image model, loaded or yet to be."""
        last, model = TEXT_TO_IMAGE, self._text_to_image
        told = self.shelf.told(last, model) if model is not None else self.shelf.told_unloaded(last)
        return [*(self.shelf.told(kind, getattr(self, kind)) for kind in KINDS), told]

    def text_to_image(self) -> TextToImage:
        """The text-to-image model that was chosen, else the embedded one; loaded once. Raises ShiftlabError where there is none."""
        if self._text_to_image is None:
            self._text_to_image = self.shelf.load(TEXT_TO_IMAGE)
        if self._text_to_image is None:
            raise ShiftlabError(
                f"There is no text-to-image model ({self.shelf.why(TEXT_TO_IMAGE)}). Choose a Stable Diffusion 1.x folder on the Models "
                "tab, or run `python -m core.pretrain.streets_sd`."
            )
        return self._text_to_image

    def use(self, kind: str, reference: str) -> Switched:
        """Changes one of the four models for good: the choice outlives the lab. reference: see `Shelf.use`.

        Raises ShiftlabError, and changes nothing, where the model cannot be loaded or a job that needs the present one is not over.
        """
        if any(job.live for job in self.jobs.list()):
            raise ShiftlabError("A run is under way or waiting, and it needs the models that are loaded. Cancel it, or wait for its end.")
        before = {entry.key: entry.name for entry in self.edits() if entry.usable}
        setattr(self, "_text_to_image" if kind == TEXT_TO_IMAGE else kind, model := self.shelf.use(kind, reference))
        if kind == "identity":
            self.perceptual = perceptual_for(model)
        self._probe = None
        after = {entry.key for entry in self.edits() if entry.usable}
        return Switched(model.name, tuple(name for key, name in before.items() if key not in after and not key.startswith(SECOND)))

    def remove_model(self, name: str) -> None:
        """Deletes a fetched or imported model. Raises ShiftlabError for one that is loaded."""
        folder = zoo.models_folder(self.home) / name
        if any(loaded.where == folder or folder in loaded.where.parents for loaded in self.models()):
            raise ShiftlabError(f"{name} is loaded. Choose another model in its place first.")
        zoo.remove(name, self.home)

    def add_edit(self, path: Path, name: str, reference_prompt: str = "", target_prompt: str = "") -> str:
        """Takes an edit of this lab, or a published one of DiffusionCLIP or Asyrp, into the home, on the loaded base. Returns its key."""
        return self._edits.add(path, name, self._loaded_base(), reference_prompt, target_prompt)

    def keep_tuned(self, key: str, name: str = "", domain: str = "") -> str:
        """Keeps what an edit makes of the loaded base as a base of its own, and returns the name that `use` takes. See Shelf.keep_tuned."""
        return self.shelf.keep_tuned(self.load_edit(key), self._loaded_base(), name, domain)

    def _download(self, name: str, should_stop: Callable[[], bool]) -> Generator[StepEvent, None, Path]:
        return download(zoo.entry_of(name), self.home, mirror=self.shelf.mirror, should_stop=should_stop)

    # ---- edits

    def edits(self) -> list[EditEntry]:
        """Every edit that is there, with a word on those that do not fit the loaded base."""
        return self._edits.entries(self.base)

    def load_edit(self, key: str) -> Edit:
        """The edit with its weights; the same object as long as it is among the last few used. Raises ShiftlabError for an unknown key."""
        return self._edits.load(key, self._loaded_base())

    def edit(self, request: EditRequest) -> Iterator[StepEvent | EditResult]:
        """The events of carrying images across, and the result. Every failure is a ShiftlabError."""
        yield from _in_words(edit_within_memory(self._method(request.settings.method), request, self.context()))

    def strip(self, request: EditRequest, strengths: Sequence[float]) -> Iterator[StepEvent | EditResult]:
        """The events of carrying images across with each of several strengths, and a result each. Every failure is a ShiftlabError."""
        yield from _in_words(at_strengths(self._method(request.settings.method), request, strengths, self.context()))

    def curve(self) -> Generator[StepEvent, None, PerceptualCurve]:
        """The curve that Asyrp's t_edit and t_boost are read from; measured once for each base, with events, and kept in the home."""
        return (yield from Curves().of(self.context()))

    # ---- jobs

    def estimate(self, method: str, settings: Settings, images: int, samples: int = SHOWN_SAMPLES) -> Estimate:
        """Time and memory of a training. The first call times the loaded base, a few network calls long; later ones only multiply."""
        work = self._method(method).work(settings, images, samples)
        if self._probe is None:
            self._probe = measure(self._loaded_base(), self.clip, self.lock)
        return estimate(work, self._probe)

    def submit(
        self,
        method: str,
        settings: Settings,
        images: Tensor,
        name: str,
        seed: int = 0,
        target_images: Tensor | None = None,
        samples: Tensor | None = None,
    ) -> str:
        """Puts a training at the end of the queue and returns its run's id. Images `(N, 3, H, W)` in [-1, 1]."""
        if self._method(method).train_settings is None:
            raise ShiftlabError(f"The method {method!r} learns nothing. Choose another one to tune, and use this one on the Edit tab.")
        self._loaded_base()
        if not len(images):
            raise ShiftlabError("There are no images to learn from. Choose some on the Data tab.")
        if not name.strip():
            raise ShiftlabError("The edit has no name. Give it one.")
        request = TrainRequest(images, settings, name.strip(), seed, target_images, samples)
        base = self._loaded_base().fingerprint
        return self._enqueue(name.strip(), method, "tune", settings, lambda path: RunFolder.create(path, request, base))

    def start(self, task: Task, name: str) -> str:
        """Puts a task on a labelled set (see core/adaptation/jobs.py) at the end of the queue and returns its run's id."""
        self._loaded_base()
        return self._enqueue(name.strip() or task.kind, task.kind, task.kind, task, lambda path: RunFolder.create_task(path, task, name))

    def resume(self, id: str) -> None:
        """Puts a cancelled, interrupted or failed job at the end of the queue; it goes on from its last saved step."""
        self._loaded_base()
        super().resume(id)

    # ---- inside

    def _enqueue(self, name: str, method: str, kind: str, settings: BaseModel, create: Callable[[Path], RunFolder]) -> str:
        id = new_run_id()
        try:
            folder = create(self.runs / id)
        except OSError as error:
            raise ShiftlabError(sentence(error)) from error
        self.jobs.add(id, name, method, kind, folder.path, settings.model_dump(mode="json"))
        self._worker.wake()
        return id

    def _training_context(self, **overrides: Any) -> Context:
        return self.context(lock=self.lock.patient(), **overrides)

    def _part_name(self, part: str) -> str:
        model = getattr(self, part)
        return model.name if model is not None else self.shelf.why(part)

    def _method(self, name: str) -> Method:
        if name not in self.methods:
            raise ShiftlabError(f"There is no method {name!r}. Choose one of: {', '.join(self.methods)}.")
        return self.methods[name]

    def _loaded_base(self) -> Base:
        if self.base is None:
            why = self.shelf.why("base")
            raise ShiftlabError(
                f"No base is loaded from {self.checkpoints / 'base'} ({why}). Run `make pretrain`, or bring a folder with one."
            )
        return self.base

    def _base_state(self) -> dict[str, Tensor]:
        return self._loaded_base().state_dict()


def _in_words(events: Iterator[StepEvent | EditResult]) -> Iterator[StepEvent | EditResult]:
    """The same events; what the machine refuses becomes a sentence."""
    try:
        yield from events
    except (MemoryError, RuntimeError, OSError) as error:
        if not isinstance(error, OSError) and not is_out_of_memory(error):
            raise
        raise ShiftlabError(sentence(error)) from error

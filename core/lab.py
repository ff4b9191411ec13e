"""The lab: what is loaded, which edits there are, and the jobs. The page, the command line and the tests all work through one of these.

A home folder holds jobs.sqlite (the table), runs/<id>/ (see core/jobs/runs.py) and cache/trajectories/. One process has it at a time.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from core.data.edits import load_edit, read_card
from core.data.trajectories import TrajectoryStore
from core.jobs.errors import sentence
from core.jobs.estimate import Estimate, Probe, estimate, measure
from core.jobs.home import HomeLock
from core.jobs.lock import TicketLock
from core.jobs.machine import device_name, memory_line, pick_device, use_all_cores
from core.jobs.runs import RunFolder, new_run_id
from core.jobs.store import Job, JobStore
from core.jobs.worker import Worker
from core.methods import METHODS
from core.metrics.perceptual import perceptual_of_identity
from core.models.base import Base, load_base
from core.models.clip import Clip, load_clip
from core.models.identity import Identity, load_identity
from core.models.precision import best_dtype
from core.types import Context, Edit, EditCard, EditRequest, EditResult, Method, Settings, ShiftlabError, StepEvent, TrainRequest

EDITS_KEPT = 4  # full state dicts in memory
STALE = "The lab ended while this was running. It can be resumed from its last saved step."
SHOWN_SAMPLES = 4
UNREADABLE = (ShiftlabError, OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)  # of a folder of weights


@dataclass(frozen=True)
class EditEntry:
    """An edit that may be chosen. usable: whether it belongs to the loaded base; why_not is a sentence where it does not."""

    key: str  # "shipped/<file>" or "run/<id>"
    name: str
    path: Path
    card: EditCard
    shipped: bool
    usable: bool
    why_not: str = ""


@dataclass(frozen=True)
class Status:
    """What the header shows, each a few words; job is empty where nothing runs."""

    base: str
    clip: str
    identity: str
    device: str
    memory: str
    job: str


class Lab:
    """Loads the embedded models once and starts the worker.

    home: folder of runs and caches, made where missing. checkpoints: folder with base/, clip/, identity/ and edits/; what is missing or
    broken there is None here, and `status()` says so. device: "cpu", "cuda", "cuda:N", "mps", or None for the best that is there.
    Raises ShiftlabError for a home that another process holds or that cannot be written, and for an unknown device.
    """

    def __init__(self, home: Path, checkpoints: Path, device: str | None = None, methods: Mapping[str, Method] = METHODS) -> None:
        self.home, self.checkpoints = Path(home).resolve(), Path(checkpoints)
        self.device = pick_device(device)
        self.dtype = best_dtype(self.device)
        self.methods = methods
        self.lock = TicketLock()
        self._home_lock = HomeLock(self.home)
        use_all_cores()
        self._missing: dict[str, str] = {}
        self.base: Base | None = self._load("base", load_base)
        self.clip: Clip | None = self._load("clip", load_clip)
        self.identity: Identity | None = self._load("identity", load_identity)
        self.perceptual = perceptual_of_identity(self.identity) if self.identity else None
        self.store = TrajectoryStore(self.home / "cache" / "trajectories")
        self._edits: OrderedDict[tuple[str, float], Edit] = OrderedDict()
        self._edits_lock = threading.Lock()
        self._probe: Probe | None = None
        self.runs = self.home / "runs"
        self.runs.mkdir(exist_ok=True)
        self.jobs = JobStore(self.home / "jobs.sqlite")
        self.jobs.interrupt_stale(STALE)
        self._worker = Worker(self.jobs, methods, self._training_context, self._base_state)
        self._worker.start()

    def close(self) -> None:
        """Saves and stops the running job, ends the worker and gives the home back."""
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
            device=self.device,
            dtype=self.dtype,
            lock=self.lock,
        )
        return dataclasses.replace(context, **overrides)

    def status(self) -> Status:
        """What is loaded and what runs, in words."""
        names = {part: self._part_name(part) for part in ("base", "clip", "identity")}
        return Status(**names, device=device_name(self.device, self.dtype), memory=memory_line(self.device), job=self._job_line())

    # ---- edits

    def edits(self) -> list[EditEntry]:
        """Every edit that is there: the shipped ones by name, then those of runs, the newest first. Broken files are left out."""
        shipped = [(f"shipped/{path.stem}", path) for path in sorted((self.checkpoints / "edits").glob("*.safetensors"))]
        own = [(f"run/{path.parent.name}", path) for path in sorted(self.runs.glob("*/edit.safetensors"), reverse=True)]
        entries = []
        for key, path in shipped + own:
            try:
                entries.append(self._entry(key, path, read_card(path)))
            except ShiftlabError:
                continue
        return entries

    def load_edit(self, key: str) -> Edit:
        """The edit with its weights; the same object as long as it is among the last few used. Raises ShiftlabError for an unknown key."""
        entry = next((entry for entry in self.edits() if entry.key == key), None)
        if entry is None:
            raise ShiftlabError(f"There is no edit {key!r}. It may have been deleted with its run; choose another.")
        name = (key, entry.path.stat().st_mtime)
        with self._edits_lock:
            if name not in self._edits:
                self._edits[name] = load_edit(entry.path, self._base_state())
            self._edits.move_to_end(name)
            while len(self._edits) > EDITS_KEPT:
                self._edits.popitem(last=False)
            return self._edits[name]

    def edit(self, request: EditRequest) -> Iterator[StepEvent | EditResult]:
        """The events of carrying images across, and the result. Every failure is a ShiftlabError."""
        method = self._method(request.settings.method)
        try:
            yield from method.edit(request, self.context())
        except (MemoryError, torch.OutOfMemoryError, OSError) as error:
            raise ShiftlabError(sentence(error)) from error

    # ---- jobs

    def estimate(self, method: str, settings: Settings, images: int, samples: int = SHOWN_SAMPLES) -> Estimate:
        """Time and memory of a training. The first call times the loaded base, a few network calls long; later ones only multiply."""
        work = self._method(method).work(settings, images, samples)
        if self._probe is None:
            self._probe = measure(self._loaded_base(), self.lock)
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
        self._method(method)
        self._loaded_base()
        if not len(images):
            raise ShiftlabError("There are no images to learn from. Choose some on the Data tab.")
        if not name.strip():
            raise ShiftlabError("The edit has no name. Give it one.")
        id = new_run_id()
        try:
            folder = RunFolder.create(self.runs / id, TrainRequest(images, settings, name.strip(), seed, target_images, samples))
        except OSError as error:
            raise ShiftlabError(sentence(error)) from error
        self.jobs.add(id, name.strip(), method, "tune", folder.path, settings.model_dump(mode="json"))
        self._worker.wake()
        return id

    def list(self) -> list[Job]:
        """All jobs, the newest first."""
        return self.jobs.list()

    def get(self, id: str) -> Job:
        """One job. Raises ShiftlabError when there is none of this id."""
        job = self.jobs.get(id)
        if job is None:
            raise ShiftlabError("This run is no longer there. It may have been deleted; choose another.")
        return job

    def cancel(self, id: str) -> None:
        """Stops this job, waiting or running, and no other. It can be resumed."""
        if not self._worker.cancel(id):
            raise ShiftlabError(f"The run {self.get(id).name!r} is neither waiting nor running. There is nothing to cancel.")

    def resume(self, id: str) -> None:
        """Puts a cancelled, interrupted or failed job at the end of the queue; it goes on from its last saved step."""
        self._loaded_base()
        if not self.jobs.requeue(id):
            raise ShiftlabError(f"The run {self.get(id).name!r} cannot be resumed: it is {self.get(id).state}. Start a new one.")
        self._worker.wake()

    def save_now(self, id: str) -> None:
        """Saves the running job's state after its present step."""
        if self.get(id).state != "running":
            raise ShiftlabError("Only a running job can be saved. Its last saved step is kept.")
        self._worker.save_now(id)

    def delete(self, id: str) -> None:
        """Removes a job with its folder and its edit, for good."""
        job = self.get(id)
        if not self.jobs.delete(id):
            raise ShiftlabError(f"The run {job.name!r} is running. Cancel it first.")
        RunFolder(job.folder).delete()

    def events(self, id: str) -> list[dict[str, Any]]:
        """The numbers of each step so far, for curves: "phase", "step", "total", "time" and what the method measured."""
        return RunFolder(self.get(id).folder).numbers()

    def sample_strip(self, id: str) -> list[tuple[int, list[Path]]]:
        """(step, pictures) of the samples drawn so far."""
        return RunFolder(self.get(id).folder).sample_strip()

    # ---- inside

    def _training_context(self, **overrides: Any) -> Context:
        return self.context(lock=self.lock.patient(), **overrides)

    def _load(self, part: str, load: Callable[..., Any]) -> Any:
        """A model from its folder, or None with a word on why."""
        folder = self.checkpoints / part
        if not folder.is_dir():
            self._missing[part] = "none"
            return None
        try:
            return load(folder, device=self.device)
        except UNREADABLE as error:
            self._missing[part] = f"unreadable: {error}"
            return None

    def _part_name(self, part: str) -> str:
        model = getattr(self, part)
        return model.name if model is not None else self._missing[part]

    def _job_line(self) -> str:
        jobs = self.jobs.list()
        running = next((job for job in jobs if job.state in ("running", "cancelling")), None)
        waiting = sum(job.state == "queued" for job in jobs)
        if running is None:
            return f"{waiting} waiting" if waiting else ""
        more = f", {waiting} waiting" if waiting else ""
        return f"{running.name}: {running.step} of {running.total}{more}" if running.total else f"{running.name}: starting{more}"

    def _entry(self, key: str, path: Path, card: EditCard) -> EditEntry:
        why_not = ""
        if self.base is None:
            why_not = "No base is loaded."
        elif card.base_fingerprint != self.base.fingerprint:
            why_not = f"It belongs to the base {card.base_fingerprint}, but {self.base.fingerprint} is loaded."
        return EditEntry(key, card.name, path, card, key.startswith("shipped/"), not why_not, why_not)

    def _method(self, name: str) -> Method:
        if name not in self.methods:
            raise ShiftlabError(f"There is no method {name!r}. Choose one of: {', '.join(self.methods)}.")
        return self.methods[name]

    def _loaded_base(self) -> Base:
        if self.base is None:
            why = self._missing["base"]
            raise ShiftlabError(
                f"No base is loaded from {self.checkpoints / 'base'} ({why}). Run `make pretrain`, or bring a folder with one."
            )
        return self.base

    def _base_state(self) -> dict[str, Tensor]:
        return self._loaded_base().state_dict()

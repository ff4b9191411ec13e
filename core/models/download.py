"""Fetching a model, only ever because somebody asked: by huggingface_hub's addresses and session, or out of a mirror folder.

    for event in download(entry_of("ddpm-ema-celebahq-256"), home): …        # StepEvents "download", counted in megabytes

A download that was stopped or broke off goes on where it ended. The model's folder appears whole or not at all, every file checked.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from huggingface_hub import get_hf_file_metadata, get_session, hf_hub_url
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HTTPError, OfflineModeIsEnabled, RepositoryNotFoundError
from huggingface_hub.utils import build_hf_headers

from core.models.clip import IMAGENET_TEMPLATES
from core.models.unet_folder import CONFIG, KIND, read_card, read_json
from core.models.zoo import CARD, TEXT_TO_IMAGE_PREFIX, ZooEntry, in_mirror, models_folder
from core.types import ShiftlabError, StepEvent, Stopped

MEGABYTE = 10**6
CHUNK = 4 * MEGABYTE
SPARE = 256 * MEGABYTE  # left free on the disk
TIMEOUT = 20.0  # seconds without a byte
_SHA256 = re.compile(r"[0-9a-f]{64}")
Bytes = Iterator[bytes]


@dataclass(frozen=True)
class Remote:
    """A file at its source. read(offset) gives its bytes from there on, or from the beginning where the source cannot skip."""

    name: str
    bytes: int | None
    sha256: str | None
    read: Callable[[int], tuple[int, Bytes]]


class Source(Protocol):
    """Where files come from. None for a file that is not there; ShiftlabError where nothing can be had at all."""

    def file(self, entry: ZooEntry, name: str) -> Remote | None: ...


class Folder:
    """A mirror's folder of one model."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, entry: ZooEntry, name: str) -> Remote | None:
        path = self._folder / name
        return Remote(name, path.stat().st_size, None, lambda offset: (offset, self._bytes(path, offset))) if path.is_file() else None

    @staticmethod
    def _bytes(path: Path, offset: int) -> Bytes:
        with path.open("rb") as file:
            file.seek(offset)
            while chunk := file.read(CHUNK):
                yield chunk


class Hub:
    """The model hub, or the address of a single file. The hub's ETag of a large file is its SHA-256."""

    def __init__(self, endpoint: str | None = None) -> None:
        self._endpoint = endpoint

    def file(self, entry: ZooEntry, name: str) -> Remote | None:
        url = hf_hub_url(entry.hub, name, endpoint=self._endpoint) if entry.hub else entry.url
        with _connected(entry):
            try:
                token = None if entry.hub else False  # None sends the user's own, which is nobody else's business
                facts = get_hf_file_metadata(url, token=token, timeout=TIMEOUT, endpoint=self._endpoint)
            except (RepositoryNotFoundError, GatedRepoError) as error:
                raise ShiftlabError(f"{entry.source} is not on the hub, or not open to everybody. Check its name and page.") from error
            except EntryNotFoundError:
                return None
        sha256 = facts.etag if facts.etag and _SHA256.fullmatch(facts.etag) else None
        return Remote(name, facts.size, sha256, lambda offset: self._open(entry, url, offset))

    @staticmethod
    def _open(entry: ZooEntry, url: str, offset: int) -> tuple[int, Bytes]:
        """Starts at 0 where the server does not know ranges."""
        headers = {**(build_hf_headers() if entry.hub else {}), **({"Range": f"bytes={offset}-"} if offset else {})}
        with _connected(entry):
            session = get_session()
            answer = session.send(session.build_request("GET", url, headers=headers, timeout=TIMEOUT), stream=True, follow_redirects=True)
            answer.raise_for_status()
        start = offset if answer.status_code == 206 else 0

        def chunks() -> Bytes:
            try:
                with _connected(entry):
                    yield from answer.iter_bytes(CHUNK)
            finally:
                answer.close()

        return start, chunks()


def download(
    entry: ZooEntry,
    home: Path,
    *,
    mirror: Path | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    source: Source | None = None,
) -> Generator[StepEvent, None, Path]:
    """Yields "download" events and returns the model's folder, `<home>/models/<name>`. A model that is there already yields none.

    mirror: a folder that stands in for the hub; what it lacks is then not fetched elsewhere. Raises Stopped, what came so far kept, when
    asked to stop; ShiftlabError offline, on a full disk, for a file that is not at its source, and for one that is not what it should be.
    """
    target = models_folder(home) / entry.name
    if (target / CARD).is_file():
        return target
    remotes = _remotes(entry, source or _source(entry, mirror))
    partial = target.with_name(f".{entry.name}.part")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        total = _check_space(entry, remotes, partial)
        done = 0
        for remote in remotes:
            for size in _fetch(entry, remote, partial, should_stop):
                yield _event(entry, remote, done + size, total)
            done += (partial / remote.name).stat().st_size
            if entry.kind == "base" and Path(remote.name).name == CONFIG:
                _check_base(entry, partial, remote.name)
        (partial / CARD).write_text(json.dumps(_card(entry, partial), indent=2) + "\n", encoding="utf-8")
        os.replace(partial, target)
    except OSError as error:
        raise ShiftlabError(f"{entry.title} could not be written ({error.strerror or error}). Free some space, then try again.") from error
    return target


def _source(entry: ZooEntry, mirror: Path | None) -> Source:
    if mirror is None:
        return Hub()
    folder = in_mirror(entry, mirror)
    if folder is None:
        where = f"{entry.name} or {entry.hub}" if entry.hub else entry.name
        raise ShiftlabError(f"The folder {mirror} stands in for the hub and has no {where}. Put the model's files there.")
    return Folder(folder)


def _remotes(entry: ZooEntry, source: Source) -> list[Remote]:
    """The files to fetch, the small ones first as the table has them."""
    remotes = []
    for wanted in entry.files:
        remote = next((found for name in wanted.names if (found := source.file(entry, name)) is not None), None)
        if remote is not None:
            remotes.append(remote)
        elif not wanted.optional:
            raise ShiftlabError(f"{entry.source} has no {' or '.join(wanted.names)}, so it is no {entry.kind} model. Choose another one.")
    return remotes


def _check_space(entry: ZooEntry, remotes: list[Remote], partial: Path) -> int:
    """Bytes in all. Raises ShiftlabError when what is still to come does not fit on the disk."""
    sizes = [remote.bytes for remote in remotes]
    total = sum(size or 0 for size in sizes)
    if None in sizes:
        total = max(total, (entry.megabytes or 0) * MEGABYTE)
    here = sum(file.stat().st_size for file in partial.rglob("*") if file.is_file())
    free = shutil.disk_usage(partial).free
    if total - here + SPARE > free:
        raise ShiftlabError(
            f"{entry.title} needs {(total - here) / MEGABYTE:.0f} MB and {SPARE // MEGABYTE} MB to spare, and the disk has "
            f"{free / MEGABYTE:.0f} MB free. Free some space first."
        )
    return total


def _fetch(entry: ZooEntry, remote: Remote, folder: Path, should_stop: Callable[[], bool]) -> Iterator[int]:
    """Fetches one file and checks it; yields the bytes that are there so far."""
    path, part = folder / remote.name, folder / f"{remote.name}.part"
    if path.is_file():  # of an earlier attempt, checked then
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    offset = part.stat().st_size if part.is_file() else 0
    if remote.bytes is None or offset < remote.bytes:
        offset, chunks = remote.read(offset)
        with part.open("r+b" if part.is_file() else "wb") as file:
            file.seek(offset)
            file.truncate()
            for chunk in chunks:
                file.write(chunk)
                offset += len(chunk)
                yield offset
                if should_stop():
                    raise Stopped
    _check(entry, remote, part)
    os.replace(part, path)


def _check(entry: ZooEntry, remote: Remote, part: Path) -> None:
    """Size and SHA-256. A file that is wrong is removed, so that the next attempt begins anew; one that is only short is kept."""
    size = part.stat().st_size
    if remote.bytes is not None and size < remote.bytes:
        raise ShiftlabError(f"The connection broke off after {size / MEGABYTE:.0f} MB of {remote.name}. Fetch it again to go on there.")
    expected = entry.sha256.get(remote.name) or remote.sha256
    if (remote.bytes is not None and size > remote.bytes) or (expected and _sha256(part) != expected):
        part.unlink()
        raise ShiftlabError(f"{remote.name} of {entry.title} is not what it should be (its checksum is another). Fetch it again.")


def _check_base(entry: ZooEntry, partial: Path, config: str) -> None:
    """Before gigabytes are fetched for nothing: the network of a text-to-image pipeline has files of the same names."""
    kind = read_json(partial / config).get("_class_name", KIND)
    if kind != KIND:
        shutil.rmtree(partial)
        instead = f", or say {TEXT_TO_IMAGE_PREFIX}:{entry.hub}" if kind == "UNet2DConditionModel" else ""
        raise ShiftlabError(f"{entry.source} holds a {kind}, so it is no base model, which is a {KIND}. Choose another one{instead}.")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _card(entry: ZooEntry, folder: Path) -> dict[str, Any]:
    """What is written beside the files, in the form that the model's own loader reads."""
    card: dict[str, Any] = {
        "name": entry.title,
        "kind": entry.kind,
        "source": entry.source,
        "licence": entry.licence,
        "domain": entry.domain,
        "image_size": entry.image_size,
    }
    if entry.kind == "base":
        return {"prediction": "epsilon", **read_card(folder), **card}
    return {**card, "templates": list(IMAGENET_TEMPLATES)} if entry.kind == "clip" else card


def _event(entry: ZooEntry, remote: Remote, done: int, total: int) -> StepEvent:
    step, steps = (max(1, size // MEGABYTE) for size in (done, total))
    return StepEvent("download", step, steps, {"bytes": float(done)}, note=f"Fetching {remote.name} of {entry.title}.")


@contextmanager
def _connected(entry: ZooEntry) -> Iterator[None]:
    """Whatever goes wrong on the line is one sentence; an answer that says "not there" passes."""
    try:
        yield
    except (RepositoryNotFoundError, GatedRepoError, EntryNotFoundError):
        raise
    except OfflineModeIsEnabled as error:
        raise ShiftlabError(f"{entry.title} cannot be fetched: offline mode is on (HF_HUB_OFFLINE). Use a folder with --models.") from error
    except (HTTPError, OSError, TimeoutError) as error:
        raise ShiftlabError(
            f"{entry.title} cannot be fetched: {entry.source} does not answer. Check the connection, or name a folder with --models."
        ) from error

"""The files of a labelled set, in a ZIP or a folder, behind one small interface; nothing is ever unpacked onto the disk.

Invariants: a name has forward slashes, leads nowhere outside the set, and stands for one regular file of at most `MAX_FILE` bytes.
Whatever else is found (path tricks, links, bombs, empty and encrypted files) is listed in `left_out` with the reason.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

from core.data.images import MAX_BYTES
from core.types import ShiftlabError

MAX_FILE = MAX_BYTES
MAX_FILES = 1_000_000
BOMB_RATIO, BOMB_SIZE = 200, 1 << 20  # deflate reaches about 1000 on zeros; a picture is compressed already, a table by 10 or so
UTF8_NAME, ENCRYPTED = 0x800, 0x1  # bits of a ZIP entry's flags
CLUTTER = ("__MACOSX", "Thumbs.db", "desktop.ini")  # of file managers; nobody meant to send these


class LeftOut(NamedTuple):
    """Something that was found and not used, and why."""

    name: str
    why: str


class Files(Protocol):
    """Names in alphabetical order; `read` gives the bytes of one of them."""

    names: list[str]
    left_out: list[LeftOut]

    def read(self, name: str) -> bytes: ...


def open_files(source: Path) -> Files:
    """The files in a ZIP or a folder. Raises ShiftlabError for anything else, and for a ZIP whose list of files cannot be read."""
    source = Path(source)
    if source.is_dir():
        return FolderFiles(source)
    if not source.is_file():
        raise ShiftlabError(f"There is no labelled set at {source}. Name a ZIP file or a folder.")
    return ZipFiles(source)


class FolderFiles:
    """The regular files below a folder. Links are not followed."""

    def __init__(self, root: Path) -> None:
        self.root, self.names, self.left_out = Path(root), [], []
        for folder, folders, files in os.walk(self.root):
            here = Path(folder)
            for name in list(folders):
                if is_clutter(name):
                    folders.remove(name)
                elif (here / name).is_symlink():
                    self.left_out.append(LeftOut(_printable((here / name).relative_to(self.root).as_posix()), LINK))
            for name in files:
                self._add(here / name)
            if len(self.names) > MAX_FILES:
                raise ShiftlabError(f"This folder has more than {MAX_FILES:,} files. Name the folder of the set itself.")
        self.names.sort()

    def _add(self, path: Path) -> None:
        name = path.relative_to(self.root).as_posix()
        if is_clutter(path.name):
            return
        facts = path.lstat()
        why = _trick(name) or _unfit(facts.st_size, facts.st_mode)
        if why:
            self.left_out.append(LeftOut(_printable(name), why))
        else:
            self.names.append(name)

    def read(self, name: str) -> bytes:
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            raise ShiftlabError(f"It cannot be read ({error.strerror}). Check the disk and the permissions.") from error


class ZipFiles:
    """The regular files in a ZIP, read from it one by one."""

    def __init__(self, path: Path) -> None:
        self.left_out: list[LeftOut] = []
        self._entries: dict[str, zipfile.ZipInfo] = {}
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise ShiftlabError(f"{path.name} is no ZIP file that can be read. Pack the set again, or name a folder.") from error
        entries = self._zip.infolist()
        if len(entries) > MAX_FILES:
            raise ShiftlabError(f"This ZIP has more than {MAX_FILES:,} files. Split it into smaller sets.")
        for entry in entries:
            if not entry.is_dir():
                self._add(entry)
        self.names = sorted(self._entries)

    def _add(self, entry: zipfile.ZipInfo) -> None:
        name = _zip_name(entry)
        if any(is_clutter(part) for part in PurePosixPath(name).parts):
            return
        why = _trick(name) or _unfit(entry.file_size, entry.external_attr >> 16) or _zip_trouble(entry)
        if not why and name in self._entries:
            why = "a second file of this name in the ZIP"
        if why:
            self.left_out.append(LeftOut(name, why))
        else:
            self._entries[name] = entry

    def read(self, name: str) -> bytes:
        entry = self._entries[name]
        try:
            with self._zip.open(entry) as file:
                data = file.read(MAX_FILE + 1)  # a header may lie about the size
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
            raise ShiftlabError("It is damaged inside the ZIP. Pack the set again.") from error
        if len(data) > MAX_FILE:
            raise ShiftlabError(TOO_LARGE)
        return data


LINK = "a symbolic link, which is not followed"
TOO_LARGE = f"larger than {MAX_FILE // 2**20} MB"


def is_clutter(name: str) -> bool:
    """Whether a file or folder of this name is a file manager's, or hidden."""
    return name in CLUTTER or (name.startswith(".") and name not in (".", ".."))


def _zip_name(entry: zipfile.ZipInfo) -> str:
    """Old packers wrote UTF-8 without saying so, and zipfile then reads it as code page 437."""
    name = entry.filename.replace("\\", "/")
    if not entry.flag_bits & UTF8_NAME:
        with suppress(UnicodeError):  # else it was code page 437
            name = name.encode("cp437").decode("utf-8")
    return name


def _trick(name: str) -> str:
    """Why a name would lead out of the set, or cannot be written; empty where neither is so."""
    path = PurePosixPath(name)
    if _printable(name) != name:
        return "a name that is not UTF-8"
    if path.is_absolute() or (path.parts and path.parts[0].endswith(":")):
        return "an absolute path"
    if ".." in path.parts:
        return "a path that leads out of the set (..)"
    return "" if name.isprintable() and path.parts else "a name with control characters"


def _printable(name: str) -> str:
    """The name with the bytes escaped that are not UTF-8, which Python keeps in surrogates: no table or terminal takes them."""
    return name.encode("utf-8", "backslashreplace").decode()


def _unfit(size: int, mode: int) -> str:
    if stat.S_ISLNK(mode):
        return LINK
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):  # 0: packed where there are no modes
        return "no regular file"
    if size == 0:
        return "empty (0 bytes)"
    return TOO_LARGE if size > MAX_FILE else ""


def _zip_trouble(entry: zipfile.ZipInfo) -> str:
    if entry.flag_bits & ENCRYPTED:
        return "encrypted"
    if entry.file_size > BOMB_SIZE and entry.file_size > BOMB_RATIO * max(1, entry.compress_size):
        return f"a ZIP bomb: {entry.compress_size:,} bytes that unpack to {entry.file_size:,}"
    return ""

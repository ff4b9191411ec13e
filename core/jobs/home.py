"""The lab's home folder, held by one process at a time: two workers on one table would each take the other's runs for dead ones."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from core.types import ShiftlabError

LOCK_FILE = "lab.lock"


class HomeLock:
    """Held from construction to `release`, or to the end of the process however that comes. Raises ShiftlabError when another holds it."""

    def __init__(self, home: Path) -> None:
        try:
            home.mkdir(parents=True, exist_ok=True)
            self._file = (home / LOCK_FILE).open("a+")
        except OSError as error:
            raise ShiftlabError(f"The home folder {home} cannot be written ({error.strerror}). Choose another with --home.") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            owner = self._file.read().strip()
            self._file.close()
            who = f" (process {owner})" if owner else ""
            raise ShiftlabError(
                f"The home folder {home} is in use by another Shiftlab{who}. Close that one, or choose another home with --home."
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        self._file.close()

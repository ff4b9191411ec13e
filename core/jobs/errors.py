"""What went wrong in a job, as one sentence for the person who started it. The whole story goes into the run's log."""

from __future__ import annotations

import errno
import sqlite3

from core.models.memory import is_out_of_memory
from core.types import ShiftlabError

DISK_FULL = "The disk is full. Free some space and {}."
OUT_OF_MEMORY = (
    "The device ran out of memory. Take a smaller batch, gradient checkpointing or the saving mode, or end what else runs on it."
)


def sentence(error: BaseException, log: str = "run", again: str = "resume") -> str:
    """A ShiftlabError's own sentence, one for the usual causes, else the kind of error with a hint at the log.

    log: whose log it is; again: what the reader may do then.
    """
    if isinstance(error, ShiftlabError):
        return str(error)
    if _is_disk_full(error):
        return DISK_FULL.format(again)
    if is_out_of_memory(error):
        return OUT_OF_MEMORY
    return f"Something unexpected went wrong ({type(error).__name__}). The {log}'s log tells the whole story; you may {again}."


def _is_disk_full(error: BaseException) -> bool:
    """Python, safetensors, torch and SQLite each say it in their own way."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    text = str(error).lower()
    return "no space left" in text or (isinstance(error, sqlite3.OperationalError) and "disk is full" in text)

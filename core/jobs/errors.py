"""What went wrong in a job, as one sentence for the person who started it. The whole story goes into the run's log."""

from __future__ import annotations

import errno
import sqlite3

import torch

from core.types import ShiftlabError

DISK_FULL = "The disk is full. Free some space and resume."
OUT_OF_MEMORY = (
    "The device ran out of memory. Take a smaller batch, gradient checkpointing or the saving mode, or end what else runs on it."
)


def sentence(error: BaseException) -> str:
    """A ShiftlabError's own sentence, one for the usual causes, else the kind of error with a hint at the log."""
    if isinstance(error, ShiftlabError):
        return str(error)
    if _is_disk_full(error):
        return DISK_FULL
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "not enough memory" in str(error):
        return OUT_OF_MEMORY
    return f"Something unexpected went wrong ({type(error).__name__}). The run's log tells the whole story; resume to try again."


def _is_disk_full(error: BaseException) -> bool:
    """Python, safetensors, torch and SQLite each say it in their own way."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    text = str(error).lower()
    return "no space left" in text or (isinstance(error, sqlite3.OperationalError) and "disk is full" in text)

"""The machine: which device computes, on how many cores, and how much memory is in use."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import torch

from core.types import ShiftlabError

GIB = 1024**3


def pick_device(name: str | None) -> torch.device:
    """The device by its name, or the best that is there: CUDA, then Apple's MPS, then the CPU. Raises ShiftlabError for one that is not."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ShiftlabError(f"The device {name!r} is not there. Use cpu, cuda, cuda:N or mps.") from error
    return device


def device_name(device: torch.device, dtype: torch.dtype) -> str:
    """For example "cpu, bfloat16"; a GPU by its product name."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    return f"{name}, {str(dtype).removeprefix('torch.')}"


def use_all_cores() -> None:
    """Lets torch compute on every core that this process may use, unless the environment says otherwise (OMP_NUM_THREADS)."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def memory_line(device: torch.device) -> str:
    """ "1.2 of 15.6 GiB": on CUDA what all processes use of the device, else what this process holds of the machine's memory."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return f"{(total - free) / GIB:.1f} of {total / GIB:.0f} GiB"
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{_resident() / GIB:.1f} of {total / GIB:.0f} GiB"


def _resident() -> int:
    """Bytes of this process in memory; where the system does not tell (macOS), the most it ever held."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

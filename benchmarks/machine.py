"""What a time depends on: the processor, the number formats it has, the versions."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

NUMBER_FORMATS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")  # Linux's names, the fastest first


def processor() -> tuple[str, list[str]]:
    """The processor's name and which of NUMBER_FORMATS it has; less is known outside Linux."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine(), []
    fields = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in fields.items()}
    flags = facts.get("flags", "").split()
    return facts.get("model name", platform.machine()), [name for name in NUMBER_FORMATS if name in flags]


def describe(device: torch.device) -> str:
    """One line for a table: device, cores and threads, number formats, versions."""
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {versions}"
    name, formats = processor()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores, {torch.get_num_threads()} threads, {' '.join(formats) or 'number formats unknown'}, {versions}"

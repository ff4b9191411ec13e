"""Where reduced precision is worth having, and the names people give it. What it costs is measured by core/models/round_trip.py."""

from __future__ import annotations

import os

import torch

from core.types import ShiftlabError

PRECISION_VARIABLE = "SHIFTLAB_PRECISION"
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def best_dtype(device: torch.device | str) -> torch.dtype:
    """bfloat16 where the device computes in it (a GPU, or a CPU with AMX or AVX512-BF16): emulated bfloat16 only costs.

    Else float16 on a GPU, whose small range is enough for walking (learning stays in float32, see Base.eps_model), and float32 on a CPU.
    """
    if torch.device(device).type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return torch.bfloat16 if features.get("amx_bf16") or features.get("avx512_bf16") else torch.float32


def dtype_of(precision: str | None, device: torch.device | str) -> torch.dtype:
    """The dtype of "fp32", "bf16", "fp16" or "auto", which is `best_dtype`; None takes what the environment says, else auto.

    Raises ShiftlabError for fp16 on a CPU and for other names.
    """
    precision = precision or os.environ.get(PRECISION_VARIABLE) or "auto"
    if precision == "auto":
        return best_dtype(device)
    if precision not in PRECISIONS:
        raise ShiftlabError(f"There is no precision {precision!r}. Use auto, {', '.join(PRECISIONS)}.")
    if precision == "fp16" and torch.device(device).type == "cpu":
        raise ShiftlabError("A CPU gains nothing from fp16. Use auto, bf16 or fp32.")
    return PRECISIONS[precision]

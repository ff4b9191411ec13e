"""Where reduced precision is worth having. What it costs is measured by core/models/round_trip.py."""

from __future__ import annotations

import torch


def best_dtype(device: torch.device | str) -> torch.dtype:
    """bfloat16 where the device computes in it (a GPU, or a CPU with AMX or AVX512-BF16), else float32: emulated bfloat16 only costs."""
    if torch.device(device).type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return torch.bfloat16 if features.get("amx_bf16") or features.get("avx512_bf16") else torch.float32

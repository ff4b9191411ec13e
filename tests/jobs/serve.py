"""A lab in a process of its own, to be killed: `python -m tests.jobs.serve HOME CHECKPOINTS` submits a run that waits at HOLD."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from core.lab import Lab
from tests.jobs.counting import Counting, CountingSettings

SETTINGS = {"steps": 14, "every": 5}
HOLD = 7  # beyond the checkpoint at 5, before the next one
SEED = 7


def images() -> torch.Tensor:
    return torch.linspace(-1, 1, 2 * 3 * 16 * 16).view(2, 3, 16, 16)


if __name__ == "__main__":
    lab = Lab(Path(sys.argv[1]), Path(sys.argv[2]), "cpu", {"counting": Counting()})
    print(lab.submit("counting", CountingSettings(**SETTINGS, hold=HOLD), images(), "killed", SEED), flush=True)
    time.sleep(300)

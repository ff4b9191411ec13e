"""A lab in a process of its own, to be killed: `python -m tests.jobs.serve HOME CHECKPOINTS` submits a slow run and lives on."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from core.lab import Lab
from tests.jobs.counting import Counting, CountingSettings

SETTINGS = {"steps": 14, "every": 5}
SEED = 7


def images() -> torch.Tensor:
    return torch.linspace(-1, 1, 2 * 3 * 16 * 16).view(2, 3, 16, 16)


if __name__ == "__main__":
    lab = Lab(Path(sys.argv[1]), Path(sys.argv[2]), "cpu", {"counting": Counting()})
    print(lab.submit("counting", CountingSettings(**SETTINGS, pause=0.2), images(), "killed", SEED), flush=True)
    time.sleep(300)

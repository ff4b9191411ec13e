"""The table of edit_speed.py as Markdown: what was timed, on what, with which command, and how much faster ours is."""

from __future__ import annotations

import datetime
import shlex
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch

from benchmarks.machine import describe

COLUMNS = (
    "model",
    "way",
    "generation steps",
    "UNet calls an image",
    "seconds an image",
    "UNet calls a second",
    "times published",
    "PSNR, dB",
    "how",
)
HEAD = "| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|"
INTRODUCTION = """# Seconds an edited image

DiffusionCLIP at return step 601. *Published*: each edit inverts its image anew and generates it with the original and the edited model.
*First edit*: ours, with the inversion, on a grid that serves every return step. *Trajectory stored*: every later edit of that image,
whatever was moved: return step, strength, or another edit. PSNR is that of the reconstruction a way arrives at (the edit that is timed has
the base's own weights). For the random network, calls are those counted above, and only the seconds of a call are measured."""


@dataclass(frozen=True)
class Row:
    """One way on one model; calls and seconds are an image's. psnr is None where no walk was made."""

    model: str
    way: str
    generation_steps: int
    calls: float
    image_seconds: float
    how: str
    psnr: float | None


def line(row: Row, published: Row) -> str:
    quality = "" if row.psnr is None else f"{row.psnr:.1f}"
    numbers = f"{row.generation_steps} | {row.calls:.0f} | {row.image_seconds:.3g} | {row.calls / row.image_seconds:.3g}"
    return f"| {row.model} | {row.way} | {numbers} | {published.image_seconds / row.image_seconds:.1f} | {quality} | {row.how} |"


def table(rows: list[Row]) -> str:
    """Rows in their order; the first of each model and step count is the published way, which the others are compared with."""
    lines = []
    for _, group in groupby(rows, key=lambda row: (row.model, row.generation_steps)):
        ways = list(group)
        lines += [line(row, ways[0]) for row in ways]
    return "\n".join([HEAD, *lines])


def write_table(path: Path, rows: list[Row], device: torch.device, words: list[str] | None = None) -> str:
    """Writes the file and returns its text. `words` are the command's arguments, the process's own unless given."""
    command = shlex.join(["python", "-m", "benchmarks.edit_speed", *(sys.argv[1:] if words is None else words)])
    facts = f"`{command}`, {datetime.date.today().isoformat()}, on {describe(device)}."
    text = f"{INTRODUCTION}\n\n{table(rows)}\n\n{facts}\n"
    path.write_text(text, encoding="utf-8")
    return text

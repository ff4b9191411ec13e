"""What every pretraining recipe shares: the budget, the learning rate, the moving average, the resumable loop, and the card.

A recipe hands `run` a function that does one step. `run` seeds the global generator from (seed, step) before each call, so a step
depends on its number alone: a training that was killed and resumed equals one that was not, to the bit on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.data.text_files import write_text
from core.models.precision import best_dtype
from core.process.seeds import seed_of
from core.types import ShiftlabError

StepFunction = Callable[[int, float], Mapping[str, float | Tensor]]


def run_command(main: Callable[[], None]) -> None:
    """Runs a recipe's command; what is wrong with its input ends it with a sentence and status 1."""
    try:
        main()
    except ShiftlabError as error:
        sys.exit(str(error))


def add_options(parser: argparse.ArgumentParser, out: str, minutes: float, batch: int, lr: float) -> None:
    """The options that every recipe has, with the recipe's own defaults."""
    parser.add_argument("--out", type=Path, default=Path(out), help="folder of the finished model and its card")
    parser.add_argument("--work", type=Path, default=None, help="folder of state, log and sheets; default: <cache>/pretrain/<name of out>")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder of rendered portraits")
    parser.add_argument("--minutes", type=float, default=minutes, help="stop, annealed, after so much training time")
    parser.add_argument("--steps", type=int, default=None, help="stop, annealed, after so many steps (in place of --minutes)")
    parser.add_argument("--batch", type=int, default=batch, help="images a step")
    parser.add_argument("--lr", type=float, default=lr, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and of every step")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads; default: all")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true", help="compile the network (needs a C compiler)")


def prepare(options: argparse.Namespace) -> torch.device:
    """Set threads and seed, fill in the work folder, make the folders; returns the device."""
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    if options.work is None:
        options.work = options.cache / "pretrain" / options.out.name
    options.work.mkdir(parents=True, exist_ok=True)
    return torch.device(options.device)


def autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Reduced precision where the device computes in it, CPU and GPU alike; weights and losses stay float32.

    Without scaled gradients float16 would lose the small ones, so a device that has nothing but it trains in float32.
    """
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=best_dtype(device) == torch.bfloat16)


@dataclass(frozen=True)
class Budget:
    """How long a training lasts: `steps`, or else `minutes` of training time, counted over all its resumed parts."""

    minutes: float
    steps: int | None = None

    def progress(self, step: int, seconds: float) -> float:
        """Share of the budget used up, in [0, 1]."""
        used = step / self.steps if self.steps else seconds / (60 * self.minutes)
        return min(1.0, used)


def learning_rate(progress: float, step: int, peak: float, warmup: int = 200, floor: float = 0.01) -> float:
    """Linear warm-up over `warmup` steps, times a half cosine over the budget down to `floor`·peak."""
    cosine = 0.5 * (1 + torch.cos(torch.tensor(progress * torch.pi)).item())
    return peak * min(1.0, (step + 1) / warmup) * (floor + (1 - floor) * cosine)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr


class Ema:
    """Exponential moving average of a module's state, with the warm-up min(decay, (1+k)/(10+k)) of the early steps.

    `module` holds the averaged weights, in float32, and is the one to evaluate and to keep.
    """

    def __init__(self, live: nn.Module, averaged: nn.Module, decay: float = 0.999) -> None:
        self.live, self.module, self.decay = live, averaged, decay
        averaged.load_state_dict(live.state_dict())
        averaged.requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        live = self.live.state_dict()
        for name, mean in self.module.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(live[name].to(mean.dtype), 1 - decay)
            else:
                mean.copy_(live[name])  # counters, such as BatchNorm's


class StateFolder:
    """The state of a training on disk: one folder a saved step, complete or absent, only the newest kept.

    modules go into safetensors, optimizers into `torch.save` files that are read with weights_only=True, step and seconds into JSON.
    """

    def __init__(self, folder: Path, modules: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
        self.folder, self.modules, self.optimizers = Path(folder), modules, optimizers

    def _saved(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("step-????????") if (path / "facts.json").exists())

    def save(self, step: int, seconds: float) -> None:
        """Write everything under a temporary name, then rename: a kill leaves the state before or after, never half of one."""
        final = self.folder / f"step-{step:08d}"
        temporary = self.folder / f"step-{step:08d}.part"
        for path in (temporary, final):
            shutil.rmtree(path, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, module in self.modules.items():
            save_file({key: value.contiguous() for key, value in module.state_dict().items()}, temporary / f"{name}.safetensors")
        for name, optimizer in self.optimizers.items():
            torch.save(optimizer.state_dict(), temporary / f"{name}.pt")
        (temporary / "facts.json").write_text(json.dumps({"step": step, "seconds": seconds}))
        os.replace(temporary, final)
        for old in self._saved()[:-1]:
            shutil.rmtree(old)

    def load(self) -> tuple[int, float]:
        """Put the newest saved state back into modules and optimizers; (0, 0.0) where there is none."""
        saved = self._saved()
        if not saved:
            return 0, 0.0
        newest = saved[-1]
        for name, module in self.modules.items():
            module.load_state_dict(load_file(newest / f"{name}.safetensors"))
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(torch.load(newest / f"{name}.pt", weights_only=True, map_location="cpu"))
        facts = json.loads((newest / "facts.json").read_text())
        return facts["step"], facts["seconds"]


class Log:
    """Means of the numbers of the last steps, as JSON lines in a file and on the standard output."""

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every = path, every
        self.sums: dict[str, float] = defaultdict(float)
        self.count = 0

    def add(self, step: int, seconds: float, numbers: Mapping[str, float | Tensor]) -> None:
        for name, value in numbers.items():
            self.sums[name] += float(value)
        self.count += 1
        if step % self.every == 0:
            means = {name: round(total / self.count, 6) for name, total in self.sums.items()}
            self.write({"step": step, "seconds": round(seconds, 1), **means})
            self.sums.clear()
            self.count = 0

    def write(self, row: Mapping[str, Any]) -> None:
        line = json.dumps(row)
        with self.path.open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)


def run(
    step_function: StepFunction,
    state: StateFolder,
    budget: Budget,
    log: Log,
    seed: int = 0,
    save_minutes: float = 5.0,
    on_save: Callable[[int], None] | None = None,
) -> tuple[int, float]:
    """Train from the newest saved state to the end of the budget; returns (steps, seconds of training).

    step_function(step, progress) does one optimizer step and returns numbers for the log. on_save(step) is called after each saved
    state (a sample sheet, say); its time is not counted.
    """
    step, seconds = state.load()
    saved_at = seconds
    while (progress := budget.progress(step, seconds)) < 1.0:
        start = time.perf_counter()
        torch.manual_seed(seed_of(seed, step))
        numbers = step_function(step, progress)
        step += 1
        seconds += time.perf_counter() - start
        log.add(step, seconds, numbers)
        if seconds - saved_at > 60 * save_minutes:
            state.save(step, seconds)
            saved_at = seconds
            if on_save is not None:
                on_save(step)
    if seconds > saved_at:
        state.save(step, seconds)
    return step, seconds


def low_discrepancy(batch: int, offset: float) -> Tensor:
    """`batch` numbers in [0, 1), one in each of `batch` equal strata, all shifted by `offset` in [0, 1).

    Each is uniform when `offset` is, and together they cover the range evenly, so the mean of a batch varies less
    (Kingma et al., Variational Diffusion Models, 2021, appendix I.1).
    """
    return (offset + torch.arange(batch) / batch) % 1.0


def command_line(module: str) -> str:
    """The command that repeats this run, as a person would type it."""
    return " ".join(["python", "-m", module, *sys.argv[1:]])


def device_name(device: torch.device) -> str:
    """What the training ran on, in words: the GPU's name, or the CPU's architecture with its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU {platform.machine()}, {torch.get_num_threads()} thread(s)"


def run_facts(module: str, data: str, steps: str, device: torch.device, seconds: float) -> dict[str, Any]:
    """What every card says of its training: data and steps in words, device, minutes of training, and the command."""
    return {"data": data, "steps": steps, "device": device_name(device), "minutes": round(seconds / 60, 1), "command": command_line(module)}


def write_card(folder: Path, title: str, purpose: str, facts: Mapping[str, Any]) -> None:
    """Write `card.json` (the facts as they are) and `README.md` (the same for a reader) into a model's folder."""
    write_text(folder / "card.json", json.dumps({"title": title, "purpose": purpose, **facts}, indent=2) + "\n")
    lines = [f"# {title}", "", purpose, ""]
    for name, value in facts.items():
        if isinstance(value, Mapping):
            rows = [f"| {key} | {figure} |" for key, figure in value.items()]
            lines += ["", f"## {name.replace('_', ' ').capitalize()}", "", "| | |", "|---|---|", *rows]
        else:
            lines.append(f"- {name.replace('_', ' ')}: `{value}`" if name == "command" else f"- {name.replace('_', ' ')}: {value}")
    write_text(folder / "README.md", "\n".join(lines) + "\n")


def read_card(folder: Path) -> dict[str, Any]:
    """The facts of a model's folder; a sentence where there are none."""
    path = folder / "card.json"
    if not path.exists():
        raise ShiftlabError(f"There is no card.json in {folder}. Train the model first, or name the folder of a trained one.")
    return json.loads(path.read_text())

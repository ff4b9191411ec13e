"""Two processes on one set, as a launcher starts them: each by RANK and WORLD_SIZE. One is killed, the command is repeated."""

from __future__ import annotations

import multiprocessing
import os
import signal

import pytest

import core.adaptation.adapt
from core.cli.app import main
from core.data.edits import save_edit
from core.models.base import load_base
from tests.adaptation.helpers import QUICK, contents, random_edit, write_set

pytestmark = pytest.mark.long

PICTURES = 12
WORDS = [word for name, value in QUICK.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def work(words: list[str], rank: int, world: int, dies_after: int | None) -> None:
    """One process of the launch; the one that is to die does so by SIGKILL, in the middle of a batch."""
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_RANK=str(rank))
    if dies_after is not None:
        write, done = core.adaptation.adapt.write_png, []

        def write_and_die(*arguments: object) -> None:
            write(*arguments)
            done.append(1)
            if len(done) == dies_after:
                os.kill(os.getpid(), signal.SIGKILL)

        core.adaptation.adapt.write_png = write_and_die
    os._exit(main(words))


def launch(words: list[str], world: int, dies_after: int | None = None) -> list[int]:
    """Exit codes by rank; the last one dies where that is wanted. Forked, so that nothing is imported anew."""
    fork = multiprocessing.get_context("fork")
    processes = [
        fork.Process(target=work, args=(words, rank, world, dies_after if rank == world - 1 else None), daemon=True)
        for rank in range(world)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(100)
    return [process.exitcode for process in processes]


@pytest.fixture
def words(checkpoints, tmp_path):
    """The command, all but --out."""
    base = load_base(checkpoints / "base")
    save_edit(tmp_path / "sketch.safetensors", random_edit(base), base.state_dict())
    source = write_set(tmp_path / "set", PICTURES // 2)
    where = ["--home", tmp_path / "home", "--checkpoints", checkpoints, "--device", "cpu", "--precision", "fp32"]
    return list(
        map(str, ["adapt", "diffusionclip", source, "--edit", tmp_path / "sketch.safetensors", "--batch", 3, *WORDS, *where, "--out"])
    )


def test_killed_and_repeated_nothing_is_lost_or_made_twice(words, tmp_path):
    assert launch([*words, str(tmp_path / "alone")], 1) == [0]
    both = tmp_path / "both"
    assert launch([*words, str(both)], 2, dies_after=4) == [0, -signal.SIGKILL]
    made = {path: path.stat().st_mtime_ns for path in both.rglob("*.png")}
    assert len(made) == 6 + 4 and not (both / "set.jsonl").exists()
    assert launch([*words, str(both)], 2) == [0, 0]
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert len(list(both.rglob("*.png"))) == PICTURES
    assert contents(both) == contents(tmp_path / "alone")

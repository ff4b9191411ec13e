"""The README's commands work: cheap ones are run, of the heavy ones the target, the module and every flag are checked."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "EXPERIMENTS.md")
RUN_FOR_REAL = {"make lint", "make parity VECTORS=tests/parity", "python app.py --help"}


def commands(text: str) -> list[str]:
    """Every line of every bash block."""
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip() and not line.startswith("#")]


def without_environment(words: list[str]) -> list[str]:
    return words if "=" not in words[0] else without_environment(words[1:])


def run(words: list[str]) -> str:
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=110, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def make(words: list[str]) -> str:
    """make with this test's own environment, whose requirements are there, whatever the stamps say."""
    venv = sys.prefix
    return run(["make", f"VENV={venv}", "-o", f"{venv}/.run-ready", "-o", f"{venv}/.test-ready", *words])


def check_python(words: list[str]) -> None:
    """The program exists, and its help names every flag that the README gives it."""
    if words[:2] == ["-m", "venv"]:
        return
    program = words[:2] if words[0] == "-m" else words[:1]
    text = run([sys.executable, *program, "--help"])
    for flag in (word.partition("=")[0] for word in words if word.startswith("--")):
        assert flag in text, f"{shlex.join(program)} has no {flag}"


def check_pip(words: list[str]) -> None:
    assert words[0] == "install"
    for name in (after for flag, after in pairwise(words) if flag == "-r"):
        assert (ROOT / name).is_file()


@pytest.mark.parametrize("command", commands(README))
def test_command(command):
    program, *words = without_environment(shlex.split(command))
    name = Path(program).name
    if name == "make":
        make(words if command in RUN_FOR_REAL else ["-n", *words])
    elif name in ("python", "python3"):
        run([sys.executable, *words]) if command in RUN_FOR_REAL else check_python(words)
    elif name == "pip":
        check_pip(words)
    else:
        pytest.fail(f"This test does not know how to check: {command}")


def test_what_is_to_be_run_for_real_is_in_the_readme():
    assert set(commands(README)) >= RUN_FOR_REAL


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / document).read_text()):
        assert (ROOT / target).exists(), f"{document} links to {target}, which is not there"


def test_the_layout_names_what_is_there():
    layout = re.search(r"## The house\n\n```\n(.*?)```", README, flags=re.DOTALL)[1]
    for line in layout.splitlines():
        name = line.split()[0]
        path = ROOT / "core" / name if line.startswith("  ") else ROOT / name
        assert path.exists(), f"The README's layout names {name}, which is not there"


@pytest.mark.parametrize("target", ["run", "test", "lint", "bench", "pretrain", "parity"])
def test_make_target(target):
    assert make(["-n", target])


@pytest.mark.parametrize("module", re.findall(r"python -m (core\.pretrain\.\w+) --out", (ROOT / "Makefile").read_text()))
def test_pretrain_recipes_take_out(module):
    assert "--out" in run([sys.executable, "-m", module, "--help"])


def test_requirements_say_why():
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text().splitlines():
            assert line.startswith("-r ") or re.search(r"\S  +# \S", line), f"{name}: no reason after {line}"

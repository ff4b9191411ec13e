"""The README's commands work: cheap ones are run, of the heavy ones the target, the module and every flag are checked."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "EXPERIMENTS.md")
RUN_FOR_REAL = {"make lint", "python app.py --help"}
OF_MAKE = ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "FLAGS", "VECTORS")  # what `make test FLAGS=…` says is not for the makes it tests
PARITY = ("python -m tests.parity.record runs/vectors", "make parity VECTORS=runs/vectors")


def commands(text: str) -> list[str]:
    """Every line of every bash block."""
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip() and not line.startswith("#")]


def without_environment(words: list[str]) -> list[str]:
    return words if "=" not in words[0] else without_environment(words[1:])


def python(words: list[str]) -> str:
    """What `python …` prints, run in this process, where torch is loaded already. Fails unless it ends well."""
    arguments, printed = words[2:] if words[0] == "-m" else words[1:], io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # runpy: the module was imported before
        patch.setattr(sys, "argv", [words[0], *arguments])
        try:
            runpy.run_module(words[1], run_name="__main__") if words[0] == "-m" else runpy.run_path(words[0], run_name="__main__")
        except SystemExit as end:
            assert not end.code, f"python {shlex.join(words)} ended with {end.code}: {printed.getvalue()}"
    return printed.getvalue()


def made_by(words: list[str]) -> list[list[str]]:
    """The commands that a make target runs, once the requirements are there."""
    command = ["make", "--no-print-directory", "-n", "-o", ".venv/.run-ready", "-o", ".venv/.test-ready", *words]
    alone = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, env=alone)
    assert done.returncode == 0, done.stderr
    return [shlex.split(line) for line in done.stdout.splitlines()]


def check_python(words: list[str]) -> None:
    """The program exists, and its help names every flag that it is given."""
    if words[:2] in (["-m", "venv"], ["-m", "pytest"]):
        return
    text = python([*(words[:2] if words[0] == "-m" else words[:1]), "--help"])
    for flag in (word.partition("=")[0] for word in words if word.startswith("--")):
        assert flag in text, f"{shlex.join(words)}: there is no {flag}"


def check_pip(words: list[str]) -> None:
    assert words[0] == "install"
    for name in (after for flag, after in pairwise(words) if flag == "-r"):
        assert (ROOT / name).is_file()


@pytest.mark.parametrize("command", commands(README))
def test_command(command):
    program, *words = without_environment(shlex.split(command))
    name = Path(program).name
    if name == "make":
        assert made_by(words)
    elif name in ("python", "python3"):
        python(words) if command in RUN_FOR_REAL else check_python(words)
    elif name == "pip":
        check_pip(words)
    else:
        pytest.fail(f"This test does not know how to check: {command}")


def test_the_tree_is_linted():
    for program, *words in made_by(["lint"]):
        here = Path(sys.executable).with_name(Path(program).name)  # the tool of this environment, whatever it is called
        done = subprocess.run([here, *words], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout


def test_what_is_to_be_run_for_real_is_in_the_readme():
    assert set(commands(README)) >= RUN_FOR_REAL


@pytest.mark.long
def test_parity_commands_for_real_and_in_order(tmp_path):
    assert set(commands(README)) >= set(PARITY)
    record, compare = (command.replace("runs/vectors", str(tmp_path)).split() for command in PARITY)
    python(record[1:])
    (made,) = made_by(compare[1:])
    assert "Everything compared agrees" in python(made[1:])


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


@pytest.mark.parametrize("target", ["run", "test", "test-long", "lint", "bench", "pretrain", "parity"])
def test_what_make_runs_is_there(target):
    for program, *words in made_by([target]):
        if Path(program).name == "python" and not words[0].endswith("get_browser.py"):  # which takes no arguments
            check_python(words)


def test_requirements_say_why():
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text().splitlines():
            assert line.startswith("-r ") or re.search(r"\S  +# \S", line), f"{name}: no reason after {line}"

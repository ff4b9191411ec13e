"""The house stands: imports go down, core knows no gradio, process and data do not know each other. Read from the source by ast."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {
    "core.types": 0,
    "core.imports": 0,
    "core.process": 1,
    "core.data": 1,
    "core.models": 2,
    "core.metrics": 2,
    "core.worlds": 2,
    "core.methods": 3,
    "core.jobs": 4,
    "core.adaptation": 4,
    "core.lab": 5,
    "core.pretrain": 5,
    "core.parity": 5,
    "core.cli": 6,
    "core.__main__": 6,
    "ui": 6,
    "app": 7,
}
STRANGERS = {("core.process", "core.data"), ("core.data", "core.process")}
FILES = sorted([*ROOT.glob("core/**/*.py"), *ROOT.glob("ui/**/*.py"), ROOT / "app.py"])


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imported(path: Path) -> tuple[str, ...]:
    """Every module a file imports, at the top or inside a function; of `from a import b` both a and a.b."""
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    package = module_name(path).split(".")[: None if path.name == "__init__.py" else -1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def room(name: str) -> str | None:
    """The room a module lies in: the longest entry of FLOORS that it begins with."""
    parts = name.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((candidate for candidate in names if candidate in FLOORS), None)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_every_file_lies_in_a_room(path):
    is_roof = module_name(path) == "core"  # core/__init__.py belongs to no room, so it may import none
    assert room(module_name(path)) or is_roof, f"{path.name} lies in no room: put it in one, or add the room to FLOORS and CONTRIBUTING.md"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_go_down(path):
    here = room(module_name(path))
    for name in imported(path):
        there = room(name)
        if there is None or there == here:
            continue
        assert here is not None, "core/__init__.py imports nothing, so that one room can be used without the others"
        assert FLOORS[there] <= FLOORS[here], f"{here} stands below {there} and must not import {name}"
        assert (here, there) not in STRANGERS, f"{here} and {there} do not know each other, but here is {name}"


@pytest.mark.parametrize("path", [path for path in FILES if module_name(path).startswith("core")], ids=module_name)
def test_core_imports_no_gradio(path):
    assert not [name for name in imported(path) if name.split(".")[0] in ("gradio", "gradio_client", "ui", "app")]


@pytest.mark.long
def test_core_loads_without_gradio():
    """The same in a fresh interpreter, so that nothing drags gradio in by a side door."""
    modules = [module_name(path) for path in FILES if module_name(path).startswith("core")]
    program = f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\nassert 'gradio' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_only_the_page_knows_the_tabs():
    tabs = [path for path in FILES if path.match("ui/*_tab.py")]
    assert tabs
    for path in (path for path in FILES if path.match("ui/*.py") and path.name != "page.py"):
        assert not [name for name in imported(path) if name.endswith("_tab") and name != module_name(path)], f"{path.name} imports a tab"

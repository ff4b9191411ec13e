"""Every module can be imported, and says in its docstring what it is for."""

from __future__ import annotations

import gc
import importlib
from pathlib import Path

import pytest

from core.imports import nothing_collected

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted([*ROOT.glob("core/**/*.py"), *ROOT.glob("ui/**/*.py"), *ROOT.glob("benchmarks/*.py"), ROOT / "app.py"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_imports(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    assert module.__doc__, f"{path.name} does not say what it is for"


def test_nothing_is_collected_while_a_program_imports_and_everything_after_it():
    with pytest.raises(ImportError), nothing_collected():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled() and gc.get_freeze_count() > 0

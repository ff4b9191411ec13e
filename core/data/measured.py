"""What was measured once of a model and would be the same again: small JSON files, found by every session of a home."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from core.data.text_files import write_text


class MeasuredStore:
    """Numbers by a key that names everything they depend on. A file that is missing or damaged means: not measured yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def get(self, key: str) -> dict[str, Any] | None:
        """What `put` was given under this key, with lists for tuples, or None."""
        try:
            found = json.loads(self._path(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found["value"] if isinstance(found, dict) and found.get("key") == key else None

    def put(self, key: str, value: dict[str, Any]) -> None:
        """Keeps the value; a disk that does not take it is no reason to lose what was measured."""
        try:
            write_text(self._path(key), json.dumps({"key": key, "value": value}, indent=1) + "\n")
        except OSError:
            return

    def _path(self, key: str) -> Path:
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"

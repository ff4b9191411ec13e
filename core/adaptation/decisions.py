"""What was decided after a label audit: thresholds, and pictures dropped or spared by hand. It lies beside the audit's table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict

from core.adaptation.audit import AuditSettings, dropped, voted
from core.data.text_files import write_text

DECISIONS = "decisions.json"


class Decisions(BaseModel):
    """by_hand: dropped though not suspicious; spared: kept though suspicious."""

    model_config = ConfigDict(frozen=True)
    settings: AuditSettings = AuditSettings()
    by_hand: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()

    def names(self, table: pd.DataFrame) -> tuple[str, ...]:
        """The pictures that are left out."""
        return dropped(table, self.settings, self.by_hand, self.spared)

    def turned(self, name: str, table: pd.DataFrame) -> Decisions:
        """The picture the other way round: dropped if it was kept, kept if it was dropped."""
        marked = voted(table, self.settings)
        suspicious = bool(marked.loc[marked["name"] == name, "suspicious"].any())
        field = "spared" if suspicious else "by_hand"
        return self.model_copy(update={field: tuple(sorted({*getattr(self, field)} ^ {name}))})

    def save(self, folder: Path) -> Path:
        return write_text(folder / DECISIONS, self.model_dump_json())


def read_decisions(folder: Path) -> Decisions:
    """What was decided in an audit's folder; the defaults where nothing was, or where it cannot be read."""
    try:
        return Decisions.model_validate_json((folder / DECISIONS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Decisions()

"""Bases of the home beside the loaded one that share its network, schedule and prediction: what DDIB decodes with, or SDEdit redraws with.

Each is offered as an edit whose weights are the whole base, so a method that walks with a tuned base walks with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.models.base import Base
from core.models.unet_folder import CARD, CONFIG, read_card, read_unet
from core.types import Edit, EditCard, ShiftlabError

METHOD = "base"  # what the card of such an edit has for a method


def second_bases(loaded: Base, folders: list[Path]) -> Iterator[tuple[Path, EditCard]]:
    """(folder, card) of each base among the folders that could stand in the loaded one's place. Without their weights."""
    for folder in folders:
        try:
            card, config = read_card(folder), json.loads((_network(folder) / CONFIG).read_text(encoding="utf-8"))
        except (ShiftlabError, OSError, ValueError):
            continue
        if _alike(loaded, card, config):
            name = str(card.get("name", folder.name))
            yield folder, EditCard(name=name, method=METHOD, base_fingerprint=loaded.fingerprint, note=f"the base in {folder.name}")


def as_edit(folder: Path, card: EditCard) -> Edit:
    """The base with its weights. Raises ShiftlabError for a folder that cannot be read."""
    return Edit(card, read_unet(folder).state_dict())


def marker(folder: Path) -> Path:
    """The file that changes when the base does."""
    return folder / CARD if (folder / CARD).exists() else _network(folder) / CONFIG


def _network(folder: Path) -> Path:
    return folder if (folder / CONFIG).exists() else folder / "unet"


def _alike(loaded: Base, card: dict[str, Any], config: dict[str, Any]) -> bool:
    """Whether its weights would fit, and mean the same."""
    own = json.loads(json.dumps(dict(loaded.unet.config)))
    same = all(own[name] == value for name, value in config.items() if name in own and not name.startswith("_"))
    schedule = {name: getattr(loaded.schedule, name) for name in ("num_steps", "beta_start", "beta_end", "beta_schedule")}
    given = {**schedule, **card.get("schedule", {})}
    return same and given == schedule and card.get("prediction", "epsilon") == loaded.prediction

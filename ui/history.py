"""The history of a session as the page shows it: captions, and what differs between two results."""

from __future__ import annotations

from core.types import Settings
from ui.forms import label_of
from ui.session import Session, Shot
from ui.shown import shown_file

THUMBNAIL = 192  # pixels


def gallery_items(session: Session, cache: str) -> list[tuple[str, str]]:
    """(thumbnail's file in Gradio's `cache`, caption) of each result, newest first."""
    return [(shown_file(shot.after, THUMBNAIL, cache), caption(shot)) for shot in session.newest_first()]


def caption(shot: Shot) -> str:
    """Number, edit, the two settings that people vary most, and the guidance where there is some."""
    settings = shot.record["settings"]
    parts = [f"{shot.number}", shot.title]
    if "return_step" in settings:
        parts.append(f"t {settings['return_step']}")
    if "strength" in settings:
        parts.append(f"× {settings['strength']:g}")
    if settings.get("attention_guidance"):
        parts.append(f"guided {settings['attention_guidance']:g}")
    return " · ".join(parts)


def changes(one: Shot, other: Shot, settings_class: type[Settings]) -> list[str]:
    """What a reader needs to know to compare two results: each setting that differs, as `Return step 401 → 601`."""
    found = []
    if one.picture.name != other.picture.name:
        found.append(f"Picture {one.picture.name} → {other.picture.name}")
    if one.record["method"] != other.record["method"]:
        found.append(f"Method {one.record['method']} → {other.record['method']}")
    if one.title != other.title:
        found.append(f"{one.title} → {other.title}")
    if one.record["seed"] != other.record["seed"]:
        found.append(f"Seed {one.record['seed']} → {other.record['seed']}")
    before, after = one.record["settings"], other.record["settings"]
    for name, field in settings_class.model_fields.items():
        if before.get(name) != after.get(name) and not name.endswith("_prompt"):
            found.append(f"{label_of(name, field)} {before.get(name)} → {after.get(name)}")
    return found or ["The same settings"]

"""A field of a settings class, declared in one line: default, title, help line, bounds, unit and the step of its slider."""

from __future__ import annotations

from typing import Any

from pydantic import Field

PROMPT_LENGTH = 300  # characters; a CLIP reads 77 tokens and ignores the rest


def setting(default: Any, title: str, description: str, *, unit: str = "", step: float = 0, more: bool = False, **limits: Any) -> Any:
    """A field with its title, help line, bounds, unit and the step of its slider; `more` puts it under the closed heading.

    default: a value, or a function that makes a new one each time.
    """
    extra = {key: value for key, value in (("unit", unit), ("step", step), ("more", more)) if value}
    how = {"default_factory": default} if callable(default) else {"default": default}
    return Field(**how, title=title, description=description, json_schema_extra=extra, **limits)


def prompt(default: str, title: str, description: str) -> Any:
    """A field for a prompt."""
    return setting(default, title, description, max_length=PROMPT_LENGTH)


def attention_guidance(title: str = "Attention guidance", of: str = "") -> Any:
    """A field for the scale of perturbed-attention guidance (core/models/attention.py). The papers have none."""
    line = "Away from what the network draws without its attention: clearer shapes, for twice the time. 0: none."
    return setting(0.0, title, f"{of} {line}".strip(), ge=0, le=3, step=0.1, more=True)

"""How a number stands on the page."""

from __future__ import annotations


def number(value: float, form: str = ".2f") -> str:
    """Formatted as by `format`, with a true minus, and without one before nothing but zeros."""
    text = format(value, form)
    return format(0.0, form) if float(text) == 0 else text.replace("-", "−")

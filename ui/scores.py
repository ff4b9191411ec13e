"""The numbers under the picture, as HTML: identity between floor and ceiling, and the row of the others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

from ui.numbers import number

IDENTITY, DIRECTION, PERCEPTUAL, PSNR = "identity", "s_dir", "perceptual", "psnr"


def scores_html(scores: Mapping[str, float], timing: Mapping[str, float], identity: Any, perceptual: Any) -> str:
    """The whole panel of one result. identity, perceptual: the loaded encoders, for their names and the score's floor and ceiling."""
    return f'<div class="scores">{identity_html(scores.get(IDENTITY), identity)}{_numbers(scores, timing, perceptual)}</div>'


def identity_html(score: float | None, identity: Any) -> str:
    """The identity score on a line from the other-person floor to the same-person ceiling, or why there is none."""
    if identity is None:
        return _no_score("Identity is not scored", "No identity encoder is loaded.")
    if score is None or math.isnan(score):
        return _no_score("No face found", "Identity is scored only where the encoder finds a face in both pictures.")
    if identity.floor is None or identity.ceiling is None:
        return _unbounded(score, identity)
    floor, ceiling = float(identity.floor), float(identity.ceiling)
    place = place_between(score, floor, ceiling)
    least = round(floor, 2) + 0.0  # for machines, which read no true minus; never "-0.00"
    said = "nearer to the same person" if place >= 50 else "nearer to another person"
    return (
        '<div class="identity" role="meter" '
        f'aria-label="Identity score" aria-valuemin="{least:.2f}" aria-valuemax="{ceiling:.2f}" '
        f'aria-valuenow="{min(max(score, least), ceiling):.2f}" aria-valuetext="{score:.2f}, {said}">'
        f'<div class="identity-head"><span class="name">Identity</span><span class="value">{number(score)}</span>'
        f'<span class="said">{said}</span></div>'
        f'<div class="track"><span class="fill" style="width:{place:.1f}%"></span>'
        f'<span class="middle"></span><span class="marker" style="left:{place:.1f}%"></span></div>'
        f'<div class="ends"><span title="mean score of two different people">floor {number(floor)} · other people</span>'
        f'<span title="mean score of two pictures of one person">same person · {ceiling:.2f} ceiling</span></div></div>'
    )


def place_between(score: float, floor: float, ceiling: float) -> float:
    """Where the marker stands, in percent of the way from floor to ceiling, 0 … 100."""
    if not ceiling > floor:
        return 0.0
    return min(100.0, max(0.0, (score - floor) / (ceiling - floor) * 100.0))


def _unbounded(score: float, identity: Any) -> str:
    """A score on no scale: told as a bare cosine, with the word that it is one."""
    why = identity.card.get("bounds", "Floor and ceiling of this encoder were not measured, so the number has no scale yet.")
    return (
        '<div class="identity none"><div class="identity-head"><span class="name">Identity</span>'
        f'<span class="value">{number(score)}</span><span class="said">a cosine without a scale</span></div>'
        f'<div class="track"></div><div class="ends"><span>{escape(why)}</span></div></div>'
    )


def _no_score(title: str, why: str) -> str:
    return (
        f'<div class="identity none"><div class="identity-head"><span class="name">{escape(title)}</span></div>'
        f'<div class="track"></div><div class="ends"><span>{escape(why)}</span></div></div>'
    )


def _numbers(scores: Mapping[str, float], timing: Mapping[str, float], perceptual: Any) -> str:
    extractor = escape(str(getattr(perceptual, "name", "perceptual distance")))
    cells = [
        _cell("S_dir", scores.get(DIRECTION), ".2f", "how well the change follows the direction between the prompts; at most 1"),
        _cell("Distance", scores.get(PERCEPTUAL), ".2f", f"perceptual distance to the picture before, by {extractor}", extractor),
        _cell("PSNR", scores.get(PSNR), ".1f", "likeness to the picture before, pixel by pixel; higher is closer", unit=" dB"),
        _time(timing),
    ]
    return f'<dl class="numbers">{"".join(cells)}</dl>'


def _cell(name: str, value: float | None, form: str, help_line: str, small: str = "", unit: str = "") -> str:
    shown = "–" if value is None or math.isnan(value) else number(value, form) + unit
    note = f"<small>{small}</small>" if small else ""
    return f'<div title="{escape(help_line)}"><dt>{name}</dt><dd>{shown}{note}</dd></div>'


def _time(timing: Mapping[str, float]) -> str:
    """Seconds of all phases together; "cached" where no inversion was needed."""
    seconds = sum(value for name, value in timing.items() if name not in ("cached", "total"))
    note = "cached" if timing.get("cached") else ""
    return _cell("Time", timing.get("total", seconds), ".1f", "of this result; cached: no inversion was needed", note, " s")

"""The mean of several edits of one base: it often does better than each ("model soups", Wortsman et al., ICML 2022, section 2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.data.edits import OWN
from core.types import Edit, EditCard, ShiftlabError


def mean_edit(edits: Sequence[Edit], name: str = "") -> Edit:
    """An edit whose weights are the mean of all weights, with the first one's card under this name or its own; no metric carries over.

    Raises ShiftlabError for fewer than two, and for edits of different methods, bases or return steps, or of a network of their own.
    """
    if len(edits) < 2:
        raise ShiftlabError("A mean needs two edits or more. Name another one.")
    first = edits[0].card
    for card in (edit.card for edit in edits):
        if _kind(card) != _kind(first) or card.weights == OWN:
            raise ShiftlabError(
                f"{_said(first)} and {_said(card)} have no mean. Name edits that one method made of one base, from one return step."
            )
    weights = {key: torch.stack([edit.weights[key].float() for edit in edits]).mean(dim=0) for key in edits[0].weights}
    note = "the mean of " + "; ".join(edit.card.note or edit.card.name for edit in edits)
    return Edit(first.model_copy(update={"name": name or first.name, "metrics": {}, "note": note}), weights)


def _kind(card: EditCard) -> tuple[str, str, object]:
    return card.method, card.base_fingerprint, card.settings.get("return_step")


def _said(card: EditCard) -> str:
    method, base, step = _kind(card)
    return f"{card.name!r} ({method}, base {base}" + (f", return step {step})" if step is not None else ")")

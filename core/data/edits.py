"""Edits on disk: what a fine-tuning changed in the base, small enough to ship, with the card in the safetensors header.

Fine-tuning moves every weight by a little, so what is kept is the *difference* to the base. Written as float16 after scaling by its
largest value, a difference loses a thousandth of itself, where float16 weights would lose several per cent of it. In eight bits, scaled
row by row, it loses about a hundredth, in half the space. (Leading singular vectors were tried and left out: they took more space than
eight bits and lost a fifth.)

Tensors in a file: `name` (full), or `name.difference` + `name.scale`, the scale of the whole weight or one for each of its rows. The
weights of a method's own network (card: "own") have no base to differ from and are kept as they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.types import Edit, EditCard, ShiftlabError

How = Literal["full", "half", "eight_bit"]
OWN = "own"  # what the card of such an edit says of its weights
HEADER = "shiftlab_edit"  # the metadata entry that holds the card as JSON
EIGHT_BIT_STEPS = 127
WEIGHTS_ERROR = "weights_error"  # ‖kept difference − difference‖ / ‖difference‖ over all weights, in the card's metrics

_OTHER_NETWORK = "The edit {!r} was made for another network than the loaded base. Load the base that its card names."


def save_edit(path: Path, edit: Edit, base_state: Mapping[str, Tensor], how: How = "half") -> EditCard:
    """Writes an edit and returns the card as written, with the measured relative error of the kept difference.

    how: "full" float32 weights; "half" the difference in scaled float16; "eight_bit" the difference in scaled int8.
    An edit of a network of its own is kept as it is, whatever `how` says. The file appears whole or not at all.
    """
    if edit.card.weights == OWN:
        own = {name: weight.detach().cpu().contiguous().clone() for name, weight in edit.weights.items()}  # none shares memory
        _write(path, own, edit.card)
        return edit.card
    _check_names(edit.weights, base_state, edit.card.name)
    kept: dict[str, Tensor] = {}
    error = total = 0.0
    for name, weight in edit.weights.items():
        weight, base = weight.detach().cpu().float(), base_state[name].detach().cpu().float()
        entries = _pack(name, weight, base, how)
        kept.update(entries)
        error += float((_unpack(name, entries, base) - weight).square().sum())
        total += float((weight - base).square().sum())
    relative = (error / total) ** 0.5 if total else 0.0
    card = edit.card.model_copy(update={"weights": how, "metrics": {**edit.card.metrics, WEIGHTS_ERROR: relative}})
    _write(path, kept, card)
    return card


def read_card(path: Path) -> EditCard:
    """The card alone, without reading the weights. Raises ShiftlabError for a file that is no edit."""
    try:
        with safe_open(path, framework="pt") as file:
            return EditCard.model_validate_json((file.metadata() or {})[HEADER])
    except (SafetensorError, KeyError, ValidationError, OSError) as error:
        raise ShiftlabError(f"{Path(path).name} is not an edit of this lab, or is broken. Choose another file.") from error


def load_edit(path: Path, base_state: Mapping[str, Tensor]) -> Edit:
    """An edit with its full float32 state dict, given the base that its difference is added to, or its own network's.

    Raises ShiftlabError for a file that is no edit, and for weights that do not fit the base's network.
    """
    card = read_card(path)
    with safe_open(path, framework="pt") as file:
        kept = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
    if card.weights == OWN:
        return Edit(card, kept)
    _check_names({_weight_name(key, base_state): value for key, value in kept.items()}, base_state, card.name)
    try:
        weights = {name: _unpack(name, kept, value.detach().cpu().float()) for name, value in base_state.items()}
    except RuntimeError as error:  # shapes that do not fit
        raise ShiftlabError(_OTHER_NETWORK.format(card.name)) from error
    return Edit(card, weights)


def check_base(card: EditCard, fingerprint: str, *, override: bool = False) -> None:
    """Raises ShiftlabError, naming edit and bases, when an edit belongs to another base. override lets it pass."""
    if card.base_fingerprint != fingerprint and not override:
        raise ShiftlabError(
            f"The edit {card.name!r} belongs to the base {card.base_fingerprint}, but {fingerprint} is loaded. "
            "Load its base, choose an edit of this one, or allow “Use on another base”, at the risk of noise."
        )


def _write(path: Path, kept: dict[str, Tensor], card: EditCard) -> None:
    """The file, written beside and moved into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    save_file(kept, unfinished, metadata={HEADER: card.model_dump_json()})
    os.replace(unfinished, path)


def _pack(name: str, weight: Tensor, base: Tensor, how: How) -> dict[str, Tensor]:
    """One weight as it is kept. Vectors are few and count for much: they are never cut to eight bits."""
    if how == "full":
        return {name: weight.contiguous()}
    difference, smallest = weight - base, torch.finfo(torch.float32).tiny
    if how == "eight_bit" and difference.ndim >= 2:
        scale = difference.flatten(1).abs().amax(dim=1).clamp(min=smallest) / EIGHT_BIT_STEPS
        kept = (difference / _beside(scale, difference)).round().to(torch.int8)
        return {f"{name}.difference": kept.contiguous(), f"{name}.scale": scale}
    scale = difference.abs().max().clamp(min=smallest)
    return {f"{name}.difference": (difference / scale).half().contiguous(), f"{name}.scale": scale.reshape(1)}


def _beside(scale: Tensor, weight: Tensor) -> Tensor:
    """One number, or one a row `(out,)`, shaped to multiply a weight `(out, …)`."""
    return scale.view(-1, *[1] * (weight.ndim - 1))


def _unpack(name: str, kept: Mapping[str, Tensor], base: Tensor) -> Tensor:
    """The weight, float32, that `_pack` kept."""
    if name in kept:
        return kept[name].float()
    difference, scale = kept[f"{name}.difference"].float(), kept[f"{name}.scale"]
    return base + difference * (_beside(scale, base) if base.ndim else scale)


def _weight_name(key: str, base_state: Mapping[str, Tensor]) -> str:
    """The weight that an entry of the file belongs to."""
    return key if key in base_state else key.rpartition(".")[0]


def _check_names(names: Mapping[str, Tensor], base_state: Mapping[str, Tensor], edit: str) -> None:
    if set(names) != set(base_state):
        raise ShiftlabError(_OTHER_NETWORK.format(edit))

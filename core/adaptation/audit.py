"""Which adapted pictures lost their label? Three witnesses, none of whom knows of the others:

- a *classifier* trained on source pictures alone: how likely it finds the picture's own label in the adapted picture;
- *CLIP*: the same, zero-shot, from one prompt a class. Each prompt's mean similarity over the set is taken out first, for some prompts
  are closer than others to every picture;
- *identity*: how much the adapted picture is still the same person, 0 at the encoder's floor and 1 at its ceiling.

The table holds what they said; who counts as suspicious is decided later, by thresholds that can be moved without asking them again.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd
import torch
from torch import Tensor

from core.adaptation.classifier import Classifier
from core.adaptation.pairs import manifest
from core.data.images import to_tensor
from core.data.labelled import LabelledSet
from core.data.text_files import write_text
from core.methods.fields import setting
from core.methods.walks import stop_if_asked
from core.metrics.edit import between_floor_and_ceiling
from core.types import Context, Settings, ShiftlabError, StepEvent

AUDIT = "audit.csv"
BATCH = 64
WITNESSES = ("classifier", "clip", "identity")


class AuditSettings(Settings):
    """From where on a witness speaks against a picture, and how many it takes."""

    method: ClassVar[str] = "audit"

    classifier_below: float = setting(
        0.5, "Classifier below", "Probability of the own label that speaks against a picture.", ge=0, le=1, step=0.05
    )
    clip_below: float = setting(0.5, "CLIP below", "Zero-shot probability of the own label.", ge=0, le=1, step=0.05)
    identity_below: float = setting(
        0.2, "Scaled identity below", "On the encoder's scale: 0 is another person, 1 the same.", ge=-1, le=1.5, step=0.05
    )
    votes: int = setting(2, "Votes", "Witnesses that must speak against a picture to make it suspicious.", ge=1, le=3, step=1)


@dataclass(frozen=True)
class Question:
    """An adapted set, the label column in question, and whom to ask. prompts: one a class, or none for no vote of CLIP."""

    adapted: LabelledSet
    out: Path  # its folder, for the manifest
    column: str
    classifier: Classifier
    prompts: Mapping[str, str]


def audit(question: Question, context: Context, path: Path) -> Iterator[StepEvent]:
    """Yields "audit" events and writes the table: name, split, label, and for each witness who could be asked a column.

    Raises ShiftlabError for prompts that are not one a class of the classifier.
    """
    labelled, classes = question.adapted.labelled(question.column), question.classifier.classes
    prompts = _prompts(question, classes, context)
    place = labelled.column(question.column)
    own = torch.tensor([_class(item.labels[place], classes) for item in labelled.items])
    probabilities, similarities = [], []
    for begin in range(0, len(labelled), BATCH):
        stop_if_asked(context)
        pictures = [labelled.picture(item) for item in labelled.items[begin : begin + BATCH]]
        with context.lock, torch.no_grad():
            probabilities.append(question.classifier.probabilities(to_tensor(pictures, question.classifier.size)))
            if prompts is not None:
                x = to_tensor(pictures, context.base.image_size).to(context.device)
                similarities.append((context.clip.encode_image(x) @ prompts.T).cpu())
        yield StepEvent("audit", begin + len(pictures), len(labelled))
    table = pd.DataFrame(
        {
            "name": [i.name for i in labelled.items],
            "split": [i.split for i in labelled.items],
            "label": [i.labels[place] for i in labelled.items],
        }
    )
    table["classifier"] = _of_own(torch.cat(probabilities), own)
    if similarities:
        table["clip"] = _of_own(zero_shot(torch.cat(similarities), float(context.clip.model.logit_scale.exp())), own)
    scores = manifest(question.out)
    if "identity" in scores:
        table["identity"] = _on_scale(torch.tensor(scores.loc[table["name"], "identity"].to_numpy()), context).tolist()
    write_text(path, table.to_csv(index=False))


def zero_shot(similarities: Tensor, scale: float) -> Tensor:
    """Cosines `(n, classes)` → probabilities, each class's mean over the set taken out first. scale: CLIP's inverse temperature."""
    return ((similarities - similarities.mean(dim=0)) * scale).softmax(dim=1)


def read_audit(path: Path) -> pd.DataFrame:
    """The table that `audit` wrote. Raises ShiftlabError for another table, OSError where there is none."""
    try:
        table = pd.read_csv(path, converters=dict.fromkeys(["name", "split", "label"], str))
    except ValueError as error:  # what pandas raises for what is no table
        raise ShiftlabError(f"{path} is no table of an audit ({error}). Name the {AUDIT} that an audit wrote.") from error
    lacking = [name for name in ("name", "classifier") if name not in table]
    lacking += [name for name in WITNESSES if name in table and not pd.api.types.is_numeric_dtype(table[name])]
    if lacking:
        raise ShiftlabError(f"{path} is no table of an audit: its column {lacking[0]} is missing, or no number. Name the {AUDIT} of one.")
    return table


def voted(table: pd.DataFrame, settings: AuditSettings) -> pd.DataFrame:
    """The table with "votes", the witnesses against each picture, and "suspicious", the most suspicious first."""
    against = pd.DataFrame(
        {name: table[name] < getattr(settings, f"{name}_below") for name in WITNESSES if name in table}, index=table.index
    )
    needed = min(settings.votes, against.shape[1])
    marked = table.assign(votes=against.sum(axis=1), suspicious=against.sum(axis=1) >= needed)
    return marked.sort_values(["votes", "classifier"], ascending=[False, True], kind="stable")


def dropped(table: pd.DataFrame, settings: AuditSettings, by_hand: Collection[str] = (), spared: Collection[str] = ()) -> tuple[str, ...]:
    """Names to leave out of training: the suspicious ones but those that were spared by hand, and those dropped by hand."""
    marked = voted(table, settings)
    names = set(marked.loc[marked["suspicious"], "name"]) - set(spared) | set(by_hand)
    return tuple(sorted(names))


def _prompts(question: Question, classes: tuple[str, ...], context: Context) -> Tensor | None:
    """Embeddings `(classes, D)`, or None where CLIP is not asked."""
    if context.clip is None or not question.prompts:
        return None
    if set(question.prompts) != set(classes):
        raise ShiftlabError(f"CLIP needs a prompt for each label of {question.column}: {', '.join(classes)}. Complete them, or give none.")
    prompts = context.clip.encode_text([question.prompts[name] for name in classes])
    for one, other in itertools.combinations(range(len(classes)), 2):
        if torch.dist(prompts[one], prompts[other]) < context.clip.least_direction:
            raise ShiftlabError(
                f"{context.clip.name} sees no difference between the prompts of {classes[one]!r} and {classes[other]!r}. Word them "
                "otherwise, or give no prompts, so that it does not vote."
            )
    return prompts


def _class(label: str, classes: tuple[str, ...]) -> int:
    if label not in classes:
        raise ShiftlabError(f"The classifier does not know the label {label!r}. It was trained on {', '.join(classes)}: choose its column.")
    return classes.index(label)


def _of_own(probabilities: Tensor, own: Tensor) -> list[float]:
    return probabilities.gather(1, own[:, None])[:, 0].tolist()


def _on_scale(identity: Tensor, context: Context) -> Tensor:
    encoder = context.identity
    if encoder is None or encoder.floor is None or encoder.ceiling is None:
        return identity
    return between_floor_and_ceiling(identity, encoder.floor, encoder.ceiling)

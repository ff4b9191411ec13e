"""What the page knows of a method beyond its settings: a line about it, the edits it works with, and the pictures that it learns from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from core.data.edits import OWN

Kind = Literal["own", "tuned"]  # edits that the method trained itself, or bases that any method tuned


@dataclass(frozen=True)
class Slot:
    """A choice of edits in the Edit tab."""

    label: str
    kind: Kind = "own"
    most: int = 1

    def takes(self, card: Any, method: str) -> bool:
        return card.method == method if self.kind == "own" else card.weights != OWN


@dataclass(frozen=True)
class About:
    """The defaults are those of a method that fine-tunes towards prompts and edits with what came of it.

    required: it does nothing without an edit. teacher: the method that trains what is missing; its own where empty. offer: what the
    button says then. draws: strokes and a mask mean something to it. learns: from pictures of the source, of the target, or of both.
    """

    line: str = ""
    edit: Slot = Slot("Edit")
    more: Slot | None = Slot("Mix with", most=3)
    required: bool = True
    teacher: tuple[str, ...] = ()
    offer: str = "Fine-tune for these prompts"
    draws: bool = False
    learns: Literal["source", "target", "both"] = "source"


TUNED, OWN_BASE = Slot("Base tuned to the target", "tuned"), Slot("Base tuned to the target")
TEACHERS = ("sdft", "domainstudio", "diffusionclip")
ABOUT = {
    "diffusionclip": About("Fine-tunes the whole network towards a prompt and carries the inverted picture across with it."),
    "asyrp": About(
        "Shifts the network's innermost features and leaves the network alone. Strength below 0 is the opposite.",
        more=Slot("Combine with", most=3),
        offer="Train a shift for these prompts",
    ),
    "sdedit": About("Adds noise and redraws: the picture, your strokes, or what a mask leaves open.", TUNED, None, False, draws=True),
    "egsde": About(
        "Redraws, while a classifier that knows both domains pushes the picture out of its own.",
        Slot("Domain classifier"), TUNED, offer="Train a domain classifier", learns="both",
    ),
    "ddib": About(
        "Into noise with the loaded base, out of it with a second one: tuned to another domain, or kept under Models.",
        Slot("Second base", "tuned"), None, teacher=TEACHERS, offer="Tune a second base",
    ),
    "sdft": About(
        "Tunes the base to a small target set, whose gaps its former self fills; then redraws with it.",
        OWN_BASE, None, offer="Tune a base to target pictures", draws=True, learns="target",
    ),
    "domainstudio": About(
        "Tunes the base to about ten pictures and keeps the variety it had; then redraws with it.",
        OWN_BASE, None, offer="Tune a base to a few pictures", draws=True, learns="target",
    ),
    "datum": About(
        "Draws from a prompt with a text-to-image model that learned one target picture: over yours, or out of noise alone.",
        Slot("Personalised model"), None, False, offer="Learn one target picture", learns="target",
    ),
}  # fmt: skip


def about(method: str) -> About:
    """A method that the page does not know yet is taken for one like DiffusionCLIP."""
    return ABOUT.get(method, About())


def teacher_of(method: str, offered: Iterable[str]) -> str:
    """The method that trains what this one needs, of those that the lab offers."""
    known = set(offered)
    return next((name for name in about(method).teacher if name in known), method)


def follows_prompts(method: Any) -> bool:
    """Whether this method's edits belong to prompts, so that prompts choose the edit."""
    trained, used = method.train_settings, method.edit_settings
    return all(settings is not None and "target_prompt" in settings.model_fields for settings in (trained, used))


def line_html(method: str) -> str:
    """What the method does, in a line."""
    return f'<p class="help">{about(method).line}</p>'

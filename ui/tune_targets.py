"""Pictures that show the target of a training: the Data tab's target set, or examples drawn from the embedded portraits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from core.data.images import to_pils
from core.types import ShiftlabError
from core.worlds.portraits import render, sample
from ui.state import LabImage

SET = "set"
SEED = 43_000  # people that no other set of the lab holds


@dataclass(frozen=True)
class Drawn:
    """Drawn examples. attributes: of the people shown; most: how many there are."""

    title: str
    domain: str = "photo"
    attributes: dict[str, bool] = field(default_factory=dict)
    most: int = 10_000

    def pictures(self, count: int, side: int) -> list[Image.Image]:
        return to_pils(render(sample(min(count, self.most), SEED, **self.attributes), self.domain, side))


EXAMPLES = {
    "sketch": Drawn("pencil sketches", "sketch"),
    "painting": Drawn("oil paintings", "painting"),
    "night": Drawn("photographs at night", "night"),
    "cartoon": Drawn("cartoons", "cartoon"),
    "smiling": Drawn("smiling people", attributes={"smiling": True}),
    "glasses": Drawn("people with glasses", attributes={"glasses": True}),
    "hat": Drawn("people with hats", attributes={"hat": True}),
    "old": Drawn("old people", attributes={"old": True}),
    "limited": Drawn("paintings without glasses, hats and smiles", "painting", {"glasses": False, "hat": False, "smiling": False}),
    "few": Drawn("ten pencil sketches", "sketch", most=10),
}


def target_choices(count: int) -> list[tuple[str, str]]:
    """count: of the target set."""
    return [(f"Target set ({count})", SET), *((f"Embedded: {drawn.title}", key) for key, drawn in EXAMPLES.items())]


def target_pictures(which: str, target: Sequence[LabImage], count: int, side: int) -> list[Image.Image]:
    """The pictures of a choice: all of the target set, or `count` drawn ones. Raises ShiftlabError for an empty target set."""
    if which in EXAMPLES:
        return EXAMPLES[which].pictures(count, side)
    if not target:
        raise ShiftlabError("The target set is empty. Add images on the Data tab, or choose embedded ones under “Aim at”.")
    return [entry.image for entry in target]


def sources_of(which: str) -> dict[str, bool]:
    """Attributes of the embedded portraits to learn from: who has already what the target shows teaches nothing."""
    return {name: False for name, shown in EXAMPLES[which].attributes.items() if shown} if which in EXAMPLES else {}

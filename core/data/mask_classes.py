"""Which value or colour of a mask is which class: Cityscapes' own, or what a set's `classes.json` says.

    {"classes": {"road": 0, "car": 13},                        name → class number, 0 … 254
     "palette": {"road": [128, 64, 128], "car": [0, 0, 142]},  name → colour, in masks that are coloured and in every legend; optional
     "ids": {"7": "road", "26": "car"},                        value of a grey or indexed mask → class; optional, else values are numbers
     "ignore": [255, [0, 0, 0]]}                               values and colours that are nothing; optional, these by default

`"ids": "cityscapes"` stands for the label ids of Cityscapes and GTA5 (7 is road, 26 is car), and `classes` may then be left out.
"""

from __future__ import annotations

import colorsys
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from core.types import ShiftlabError

CLASSES_FILE = "classes.json"
IGNORE = 255  # in every mask that leaves this room
Colour = tuple[int, int, int]
SHOWN = 5  # unknown values that a sentence names
# Cityscapes (Cordts et al., CVPR 2016): name, label id, colour; the class numbers count on ("train ids").
TABLE: tuple[tuple[str, int, Colour], ...] = (
    ("road", 7, (128, 64, 128)), ("sidewalk", 8, (244, 35, 232)), ("building", 11, (70, 70, 70)), ("wall", 12, (102, 102, 156)),
    ("fence", 13, (190, 153, 153)), ("pole", 17, (153, 153, 153)), ("traffic light", 19, (250, 170, 30)),
    ("traffic sign", 20, (220, 220, 0)), ("vegetation", 21, (107, 142, 35)), ("terrain", 22, (152, 251, 152)),
    ("sky", 23, (70, 130, 180)), ("person", 24, (220, 20, 60)), ("rider", 25, (255, 0, 0)), ("car", 26, (0, 0, 142)),
    ("truck", 27, (0, 0, 70)), ("bus", 28, (0, 60, 100)), ("train", 31, (0, 80, 100)), ("motorcycle", 32, (0, 0, 230)),
    ("bicycle", 33, (119, 11, 32)),
)  # fmt: skip
LABEL_IDS = range(35)  # of which those not in the table are nothing


@dataclass(frozen=True)
class MaskClasses:
    """classes: name → number; palette: name → colour of each; ids: mask value → number (IGNORE: none); nothing: colours of no class."""

    classes: dict[str, int]
    palette: dict[str, Colour] = field(default_factory=dict)
    ids: dict[int, int] = field(default_factory=dict)
    nothing: tuple[Colour, ...] = ((0, 0, 0),)

    def numbers(self, mask: Image.Image) -> np.ndarray:
        """A decoded mask → `(H, W)` uint8 of class numbers. Raises ShiftlabError that names every value or colour that is unknown."""
        if mask.mode in ("1", "L", "P", "I", "I;16", "I;16B", "I;16L"):
            return _looked_up(np.asarray(mask).astype(np.int64), self.ids, str)
        colours = [self.palette[name] for name in self.classes]
        if twice := [name for name in self.classes if colours.count(self.palette[name]) > 1]:
            raise ShiftlabError(f"{' and '.join(twice[:2])} have the same colour in {CLASSES_FILE}. Give every class its own.")
        pixels = np.asarray(mask.convert("RGB")).astype(np.int64)
        table = dict.fromkeys(map(_packed, self.nothing), IGNORE) | {_packed(self.palette[name]): k for name, k in self.classes.items()}
        return _looked_up(_packed(np.moveaxis(pixels, -1, 0)), table, lambda value: str((value >> 16, value >> 8 & 255, value & 255)))

    def facts(self) -> dict[str, Any]:
        """As `classes_from` takes it: what stands in classes.json."""
        return {
            "classes": self.classes,
            "palette": {name: list(colour) for name, colour in self.palette.items()},
            "ids": {str(value): self._name(number) for value, number in self.ids.items() if number != IGNORE},
            "ignore": [*(value for value, number in self.ids.items() if number == IGNORE), *map(list, self.nothing)],
        }

    def _name(self, number: int) -> str:
        return next(name for name, k in self.classes.items() if k == number)


def cityscapes(label_ids: bool = False) -> MaskClasses:
    """The 19 classes. label_ids: masks hold 7 for road, as the original files do; else 0, as segmenters are trained."""
    classes = {name: number for number, (name, _, _) in enumerate(TABLE)}
    by_label = {label: number for number, (_, label, _) in enumerate(TABLE)}
    ids = {value: by_label.get(value, IGNORE) for value in LABEL_IDS} if label_ids else {k: k for k in classes.values()}
    return MaskClasses(classes, {name: colour for name, _, colour in TABLE}, {**ids, IGNORE: IGNORE})


def mask_classes(classes: dict[str, int], palette: dict[str, Colour]) -> MaskClasses:
    """Of masks that hold the class numbers themselves."""
    return MaskClasses(classes, palette, {**{k: k for k in classes.values()}, IGNORE: IGNORE})


def read_classes(data: bytes) -> MaskClasses:
    """What a `classes.json` says. Raises ShiftlabError that says what is wrong in it."""
    try:
        return classes_from(json.loads(data.decode("utf-8-sig")))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ShiftlabError(
            f'{CLASSES_FILE} cannot be understood ({error}). It holds {{"classes": {{"road": 0, …}}}} and, where needed, "palette", "ids" '
            'and "ignore".'
        ) from error


def classes_from(facts: dict[str, Any]) -> MaskClasses:
    """Raises ValueError, TypeError, KeyError or AttributeError for what is no such description."""
    if unknown := set(facts) - {"classes", "palette", "ids", "ignore"}:
        raise ValueError(f"it has an unknown entry {sorted(unknown)[0]!r}")
    standard = cityscapes(label_ids=facts.get("ids") == "cityscapes")
    classes = {str(name): int(number) for name, number in facts.get("classes", standard.classes).items()}
    if not classes or not all(0 <= number < IGNORE for number in classes.values()) or len(set(classes.values())) < len(classes):
        raise ValueError(f"class numbers are different from each other and between 0 and {IGNORE - 1}")
    ignored = facts.get("ignore", [IGNORE, *([] if (0, 0, 0) in map(tuple, facts.get("palette", {}).values()) else [[0, 0, 0]])])
    nothing = tuple(_colour(value) for value in ignored if not isinstance(value, int))
    ids = {**_ids(facts.get("ids"), classes, standard), **dict.fromkeys((value for value in ignored if isinstance(value, int)), IGNORE)}
    palette = {**_spread(classes), **{name: colour for name, colour in standard.palette.items() if name in classes}}
    return MaskClasses(classes, {**palette, **{name: _colour(value) for name, value in facts.get("palette", {}).items()}}, ids, nothing)


def _ids(given: Any, classes: dict[str, int], standard: MaskClasses) -> dict[int, int]:
    if given == "cityscapes":
        names = {number: name for name, number in standard.classes.items()}
        return {value: classes.get(names.get(number, ""), IGNORE) for value, number in standard.ids.items()}
    return {int(value): classes[name] for value, name in given.items()} if given else {k: k for k in classes.values()}


def _spread(classes: dict[str, int]) -> dict[str, Colour]:
    """Colours that differ, for classes that nobody gave one."""
    hues = (place * 0.618 % 1.0 for place in range(len(classes)))  # the golden ratio: neighbours lie far apart
    spread = (colorsys.hsv_to_rgb(hue, 0.65, 0.85) for hue in hues)
    return {name: tuple(round(255 * part) for part in colour) for name, colour in zip(classes, spread, strict=True)}


def _colour(value: Any) -> Colour:
    red, green, blue = (int(part) for part in value)
    if not all(0 <= part <= 255 for part in (red, green, blue)):
        raise ValueError(f"a colour is three numbers from 0 to 255, and {value} is not")
    return red, green, blue


def _packed(colour: Any) -> Any:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def _looked_up(values: np.ndarray, table: dict[int, int], said: Any) -> np.ndarray:
    found, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    unknown = [(value, count) for value, count in zip(found.tolist(), counts.tolist(), strict=True) if value not in table]
    if unknown:
        named = ", ".join(f"{said(value)}: {count:,} pixels" for value, count in unknown[:SHOWN])
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        raise ShiftlabError(f"Unknown values in the mask ({named}{more}). Add them to {CLASSES_FILE}, or to its list “ignore”.")
    return np.array([table[value] for value in found.tolist()], dtype=np.uint8)[places].reshape(values.shape)

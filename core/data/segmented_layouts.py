"""Which mask belongs to which image, by their names alone: `[train/]images/[train/]a.png` and `[train/]masks/[train/]a.png`.

A pair has the same path but for the folder that says which of the two it is, the suffix, and the endings that Cityscapes and ACDC give
their files. A folder `train`, `val` or `test` on the way is the split. What has no partner is left out, by name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from core.data.labelled_files import LeftOut
from core.data.labelled_layouts import SPLITS, is_picture
from core.types import ShiftlabError

IMAGE_FOLDERS = ("images", "image", "img", "imgs", "rgb", "leftimg8bit", "rgb_anon")
MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "gt", "gtfine", "gtcoarse")
_ENDING = re.compile(r"_(?:leftImg8bit|rgb_anon|gt(?:Fine|Coarse)?_(\w+))$")
RANKS = {"labelTrainIds": 0, "": 1, "labelIds": 2, "color": 3, "labelColor": 3}  # of several masks of an image, the first; others are none
LABEL_IDS = "_labelIds"


@dataclass
class Paired:
    """rows: image → (mask, split or ""), both paths in the set."""

    rows: dict[str, tuple[str, str]]
    left_out: list[LeftOut] = field(default_factory=list)

    def has_label_ids(self) -> bool:
        """Whether masks are Cityscapes' original ones, by their names."""
        return any(PurePosixPath(mask).stem.endswith(LABEL_IDS) for mask, _ in self.rows.values())


def paired(names: Sequence[str]) -> Paired:
    """Raises ShiftlabError where there is no pair at all."""
    images: dict[str, str] = {}
    masks: dict[str, tuple[int, str]] = {}
    found = Paired({})
    for name in filter(is_picture, names):
        kind, key, rank = _key(name)
        if kind == "mask" and rank is not None:
            masks[key] = min(masks.get(key, (rank, name)), (rank, name))
        elif kind == "image" and key in images:
            found.left_out.append(LeftOut(name, f"a second image called so, beside {images[key]}"))
        elif kind == "image":
            images[key] = name
        elif not kind:
            found.left_out.append(LeftOut(name, "lies neither in a folder images nor in a folder masks"))
    found.rows = {name: (masks[key][1], split_of(name)) for key, name in images.items() if key in masks}
    found.left_out += [LeftOut(name, "an image without a mask") for key, name in images.items() if key not in masks]
    found.left_out += [LeftOut(name, "a mask without an image") for key, (_, name) in masks.items() if key not in images]
    if not found.rows:
        raise ShiftlabError(
            "No image with a mask was found. Put the images into a folder images and their masks, called the same, into a folder masks."
        )
    return found


def pictures(names: Sequence[str]) -> list[str]:
    """Everything that is no mask: an unlabelled set."""
    return [name for name in names if is_picture(name) and _key(name)[0] != "mask"]


def split_of(name: str) -> str:
    """The split that a folder on the way says."""
    return next((SPLITS[part.lower()] for part in PurePosixPath(name).parts[:-1] if part.lower() in SPLITS), "")


def _key(name: str) -> tuple[str, str, int | None]:
    """("image", "mask" or "", what both of a pair are called, rank among the masks of an image; None for what is no mask of classes)."""
    path = PurePosixPath(name)
    folders = [part.lower() for part in path.parts[:-1]]
    place = next((k for k, part in enumerate(folders) if part in IMAGE_FOLDERS + MASK_FOLDERS), None)
    if place is None:
        return "", "", None
    ending = _ENDING.search(path.stem)
    stem = path.stem[: ending.start()] if ending else path.stem
    key = "/".join((*path.parts[:place], *path.parts[place + 1 : -1], stem))
    if folders[place] in IMAGE_FOLDERS:
        return "image", key, 0
    return "mask", key, RANKS.get((ending.group(1) or "") if ending else "")

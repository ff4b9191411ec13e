"""Streets as a segmentation set on disk: images and exact masks, for there the truth of every pixel is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.data.images import to_pil
from core.data.mask_classes import MaskClasses, mask_classes
from core.data.segmented_write import Scene, write_segmented
from core.worlds import streets as world

AT_ONCE = 16  # scenes rendered together


def street_classes() -> MaskClasses:
    """Cityscapes' numbers and colours of what there is in the streets."""
    return mask_classes(world.CLASSES, {name: world.PALETTE[number] for name, number in world.CLASSES.items()})


def draw_scenes(streets: world.Streets, domain: str, height: int, folder: Path, train: int) -> Iterator[int]:
    """Writes the scenes as pictures `height` × 2·`height` with their masks; yields how many are there.

    train: the first so many are for training, the others for testing.
    """
    return write_segmented(folder, _scenes(streets, domain, height, train), street_classes())


def _scenes(streets: world.Streets, domain: str, height: int, train: int) -> Iterator[Scene]:
    for begin in range(0, len(streets), AT_ONCE):
        part = streets[begin : begin + AT_ONCE]
        drawn = zip(world.render(part, domain, height), world.labels(part, height), strict=True)
        for place, (image, mask) in enumerate(drawn, start=begin):
            yield Scene(f"{place:05d}", to_pil(image), mask.numpy(), "train" if place < train else "test")

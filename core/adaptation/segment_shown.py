"""Test scenes of a one-shot comparison to look at: the image, the truth, and what each finished segmenter reads in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image

from core.adaptation.figures import NAMES
from core.adaptation.segment import SegmentDomains, segmenter_folder, test_items
from core.adaptation.segment_overlays import OPACITY, colours, laid_over
from core.adaptation.segment_pixels import Scenes, mapped_scenes
from core.adaptation.segment_results import segment_finished
from core.adaptation.segmenter import Segmenter, class_names, load_segmenter
from core.data.images import to_pil
from core.data.mask_classes import IGNORE
from core.types import ShiftlabError


def mapped_tests(domains: SegmentDomains, height: int, folder: Path, domain: str) -> Scenes:
    """The test scenes of "source" or "target" as the run in `folder` saw them. Raises ShiftlabError where there are none."""
    found, items = test_items(domains)[domain]
    if found is None or not items:
        raise ShiftlabError(f"There are no labelled scenes of the {domain} to look at. Add a labelled set of it.")
    walk = mapped_scenes(found, items, class_names(domains.source.classes), height, folder / "pixels" / f"{domain}-test")
    while True:
        try:
            next(walk)
        except StopIteration as end:
            return end.value


def finished_segmenters(folder: Path, seed: int | None = None) -> dict[str, Segmenter]:
    """By arm, of this seed or the first that is finished, on the CPU."""
    done = segment_finished(folder)
    chosen = {arm: seeds[0] if seed is None else seed for arm, seeds in done.items() if seed is None or seed in seeds}
    return {arm: load_segmenter(segmenter_folder(folder, arm, at)) for arm, at in chosen.items()}


def look_at(scenes: Scenes, place: int, found: Mapping[str, Segmenter], opacity: float = OPACITY) -> list[tuple[str, Image.Image]]:
    """(what it is, picture) of one scene: the image, the truth over it, and the prediction of each segmenter by its name."""
    x = scenes.picture(place)[None]
    pictures = [("image", to_pil(x))]
    if scenes.masks is not None and found:
        one = next(iter(found.values()))
        numbers = torch.full((IGNORE + 1,), IGNORE, dtype=torch.uint8)
        numbers[: len(one.names)] = torch.tensor([one.classes.classes[name] for name in one.names], dtype=torch.uint8)
        truth = numbers[torch.from_numpy(scenes.masks[place].astype("int64"))][None]
        pictures.append(("truth", to_pil(laid_over(x, colours(truth, one.classes), opacity))))
    for arm, segmenter in found.items():
        pictures.append((NAMES[arm], to_pil(laid_over(x, colours(segmenter.numbers(x), segmenter.classes), opacity))))
    return pictures

"""Draws the example pictures in assets/examples: `python -m core.worlds.examples assets/examples`.

Sources are photographs; targets are a few pictures of each other domain by other people than the sources; the name says what is in it.
In `streets` lie three pictures each of streets at night and in fog, to personalise a text-to-image model on.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from core.worlds import streets
from core.worlds.portraits import DOMAINS, render, sample, with_attributes

SIZE = 256  # of the photographs: larger than the models' 64 pixels, as a picture that somebody uploads would be
SOURCES = (  # (item of the sample, attributes)
    (28, {"smiling": False, "glasses": False, "beard": False, "hat": False, "long_hair": True, "old": False}),
    (6, {"smiling": False, "glasses": False, "beard": False, "hat": False, "long_hair": False, "old": False}),
    (20, {"smiling": True, "glasses": False, "beard": False, "hat": False, "long_hair": True, "old": False}),
    (12, {"smiling": True, "glasses": False, "beard": True, "hat": False, "long_hair": False, "old": True}),
    (22, {"smiling": False, "glasses": True, "beard": False, "hat": False, "long_hair": True, "old": False}),
    (23, {"smiling": True, "glasses": False, "beard": False, "hat": True, "long_hair": False, "old": False}),
    (34, {"smiling": False, "glasses": False, "beard": False, "hat": True, "long_hair": True, "old": False}),
    (47, {"smiling": False, "glasses": False, "beard": False, "hat": False, "long_hair": False, "old": True}),
)


STREETS = (5, 19, 23)  # items of the sample
STREETS_SEED = 77  # no set that a model learns from or is measured on has it


def draw_examples(folder: Path) -> None:
    """Eight photographs and three pictures of each other domain as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    people = sample(60, seed=5)
    for number, (item, attributes) in enumerate(SOURCES, 1):
        _save(render(with_attributes(people[item : item + 1], **attributes), "photo", SIZE), folder / f"photo_{number}.png")
    for domain in DOMAINS[1:]:
        for number, picture in enumerate(render(people[[36, 39, 42]], domain, SIZE // 2), 1):
            _save(picture[None], folder / f"{domain}_{number}.png")


def draw_streets(folder: Path) -> None:
    """Three scenes at night and the same three in fog as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = streets.sample(max(STREETS) + 1, STREETS_SEED)[list(STREETS)]
    for domain in ("night", "fog"):
        for number, picture in enumerate(streets.render(scenes, domain, SIZE // 2), 1):
            _save(picture[None], folder / f"{domain}_{number}.png")


def _save(picture, path: Path) -> None:
    pixels = ((picture[0] + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(path, optimize=True)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "assets/examples")
    draw_examples(target)
    draw_streets(target / "streets")

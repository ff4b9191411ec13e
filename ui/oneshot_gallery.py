"""Generated pictures to look at: a grid with the class under each, and whether they repeat themselves."""

from __future__ import annotations

import json
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

from core.adaptation.carried import SPLIT
from core.adaptation.generated import FACTS
from core.adaptation.likeness import MOST_PICTURES
from core.adaptation.segment_jobs import CARRIED
from core.data.images import decode_image
from ui.adapt_read import small

SIDE = 144
COLLAPSED, VARIED = 0.5, 0.8  # variety below which a set is one picture over and over, and above which it is as varied as the model
SHOWN_PAIRS, SHOWN_SCENES = 6, 12
NOT_MEASURED = (
    '<p class="help">How much the pictures vary was not measured: they were drawn by the model as it was, or neither an identity encoder '
    "nor CLIP is loaded to tell.</p>"
)


def pictures_of(folder: Path) -> list[tuple[Path, str]]:
    """(file, class) of what is drawn so far, in order."""
    if not (folder / FACTS).is_file():
        return []
    names = _names(folder, (folder / FACTS).stat().st_mtime_ns)
    return [(path, names[int(path.stem)]) for path in sorted(folder.glob("[0-9]*.png"))]


def gallery_html(folder: Path, pictures: list[tuple[Path, str]], most: int) -> str:
    """The first pictures with their classes."""
    figures = "".join(
        f'<figure><img src="{_uri(path, path.stat().st_mtime_ns)}" alt="" title="{path.name}">'
        f"<figcaption>{escape(name)}</figcaption></figure>"
        for path, name in pictures[:most]
    )
    head = f'<h2 class="heading">Generated<span class="count">{len(pictures):,} pictures</span></h2>'
    return f'{head}<div class="gallery-grid">{figures}</div>'


def carried_html(folder: Path) -> str:
    """The first carried scenes of a run; empty where there are none."""
    paths = [folder / CARRIED / "images" / SPLIT / f"{k:05d}.png" for k in range(SHOWN_SCENES)]
    figures = "".join(
        f'<figure><img src="{_uri(path, path.stat().st_mtime_ns)}" alt="carried scene"></figure>' for path in paths if path.is_file()
    )
    said = '<p class="help">Labelled source scenes, as the model that learned your image carried them. Their labels came along.</p>'
    return f'<h2 class="heading">Carried scenes</h2>{said}<div class="gallery-grid">{figures}</div>' if figures else ""


def likeness_html(folder: Path, found: dict[str, Any]) -> str:
    """Variety as a number and a sentence, and the pairs that are nearly the same."""
    if not found:
        return f'<div class="card told-set">{NOT_MEASURED}</div>'
    variety, count = found["variety"], found["near_duplicate_pairs"]
    pairs = "".join(_pair(folder, *pair) for pair in found["near_duplicates"][:SHOWN_PAIRS])
    shown = f'<div class="near-pairs">{pairs}</div>' if pairs else ""
    among = f" The first {MOST_PICTURES:,} pictures were compared." if found.get("pictures") == MOST_PICTURES else ""
    how = f'1 is as varied as the model was before; distances by {escape(found["measure"])}.{among}'
    return (
        '<div class="card told-set"><div class="measures">'
        f'<div><span class="measure">{variety:.2f}</span><span class="help">variety</span></div>'
        f'<div><span class="measure">{count:,}</span><span class="help">near-duplicate {"pair" if count == 1 else "pairs"}</span></div>'
        f'<p>{verdict(variety)} <span class="quiet">{how}</span>'
        f"</p></div>{shown}</div>"
    )


def verdict(variety: float) -> str:
    """What the number says, and what to do."""
    if variety < COLLAPSED:
        return "The set has collapsed: the pictures are nearly one. Use an earlier checkpoint."
    if variety < VARIED:
        return "The pictures are more alike than the model's own. An earlier checkpoint may vary more."
    return "The pictures are about as varied as the model's own."


def _pair(folder: Path, first: str, second: str, distance: float) -> str:
    sides = "".join(
        f'<img src="{_uri(folder / name, (folder / name).stat().st_mtime_ns)}" alt="{escape(name)}">' for name in (first, second)
        if (folder / name).is_file()
    )  # fmt: skip
    return f'<figure class="pair"><div class="pair-sides">{sides}</div><figcaption>distance {distance:.3f}</figcaption></figure>'


@lru_cache(maxsize=2048)
def _uri(path: Path, changed: int) -> str:
    return small(decode_image(path), SIDE)


@lru_cache(maxsize=4)
def _names(folder: Path, changed: int) -> list[str]:
    return [name for name, _, _ in json.loads((folder / FACTS).read_text(encoding="utf-8"))["pictures"]]

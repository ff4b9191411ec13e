"""Predictions laid over their images, with a legend and a slider between image and colours. The slider works within the page."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from core.adaptation.segment_jobs import SegmentTask
from core.adaptation.segment_overlays import OPACITY, legend
from core.adaptation.segment_shown import finished_segmenters, look_at, mapped_tests
from core.data.mask_classes import MaskClasses
from core.data.pictures import fit_within
from core.jobs.runs import RunFolder
from core.types import ShiftlabError
from ui.adapt_read import small
from ui.oneshot_read import Finished
from ui.tune_watch import data_uri

SCENES, SIDE = 4, 320
TELL_OPACITY = """
element.addEventListener('input', event => {
  if (event.target.type !== 'range') return;
  element.querySelector('.looks').style.setProperty('--opacity', event.target.value / 100);
});
"""


def overlay_html(job: Any, finished: Finished) -> str:
    """A row a test scene: the truth, and what each finished segmenter reads; a sentence where they cannot be shown."""
    try:
        return _overlay_html(Path(job.folder), SegmentTask(**job.settings), finished)
    except (ShiftlabError, OSError) as error:
        return f'<p class="alert">The predictions cannot be shown: {escape(str(error))}</p>'


def running_html(folder: Path) -> str:
    """The last predictions of a run that is under way."""
    strip = RunFolder(folder).sample_strip()
    if not strip:
        return ""
    pictures = "".join(f'<img src="{data_uri(str(path), path.stat().st_mtime_ns)}" alt="prediction">' for path in strip[-1][1])
    return f'<h2 class="heading">Predictions at update {strip[-1][0]:,}</h2><div class="last-looks">{pictures}</div>'


def legend_html(classes: MaskClasses) -> str:
    """Names beside their colours."""
    rows = "".join(f'<li><span class="swatch" style="background:{colour}"></span>{escape(name)}</li>' for name, colour in legend(classes))
    return f'<ul class="legend">{rows}</ul>'


@lru_cache(maxsize=4)
def _overlay_html(folder: Path, task: SegmentTask, finished: Finished) -> str:
    domains, domain = task.domains(folder), "source" if task.target is None else "target"
    scenes = mapped_tests(domains, task.settings.height, folder, domain)
    found = finished_segmenters(folder)
    places = range(0, len(scenes), max(1, len(scenes) // SCENES))[:SCENES]
    rows = "".join(_row(look_at(scenes, place, found, opacity=1.0)) for place in places)
    columns = len(look_at(scenes, 0, found)) - 1
    slider = (
        f'<label class="opacity">Image<input type="range" min="0" max="100" value="{100 * OPACITY:.0f}" '
        'aria-label="opacity of the classes">Classes</label>'
    )
    head = f'<div class="looks-head"><h2 class="heading">Predictions on {domain} scenes</h2>{slider}</div>'
    style = f"--opacity:{OPACITY};--columns:{columns}"
    return f'<div class="looks" style="{style}">{head}{legend_html(domains.source.classes)}<div class="looks-grid">{rows}</div></div>'


def _row(look: list[tuple[str, Image.Image]]) -> str:
    """One scene: its image under the colours of each reading."""
    under = small(look[0][1], SIDE)
    return "".join(
        f'<figure><div class="over"><img src="{under}" alt=""><img class="colours" src="{_plain(image)}" alt="{escape(name)}"></div>'
        f"<figcaption>{escape(name)}</figcaption></figure>"
        for name, image in look[1:]
    )


def _plain(image: Image.Image) -> str:
    """Colours without loss, within the page itself."""
    buffer = io.BytesIO()
    fit_within(image, SIDE).convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()

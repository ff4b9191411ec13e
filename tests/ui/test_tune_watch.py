"""What the page says of a job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from ui import tune_watch


@dataclass(frozen=True)
class Row:
    """As much of a job's row as is shown."""

    folder: Path
    id: str = "one"
    name: str = "a <b>bold</b> name"
    state: str = "running"
    step: int = 12
    total: int = 80
    eta_s: float | None = 95.0
    message: str = ""
    position: int = 0
    finished: float | None = None


def test_progress_says_how_far_and_how_long(tmp_path):
    html = tune_watch.progress_html(Row(tmp_path))
    assert "step 12 of 80" in html and "about 1 min 35 s left" in html and 'aria-valuenow="15"' in html
    assert "<b>bold</b>" not in html


def test_every_state_has_its_words(tmp_path):
    row = Row(tmp_path)
    assert "number 3 in the queue" in tune_watch.progress_html(replace(row, state="queued", position=3))
    failed = tune_watch.progress_html(replace(row, state="failed", message="The disk is full. Make room."))
    assert "message bad" in failed and "The disk is full" in failed
    assert "No fine-tuning yet" in tune_watch.progress_html(None)


def test_spread_keeps_first_and_last():
    assert tune_watch.spread(list(range(100)), 5) == [0, 25, 50, 74, 99]
    assert tune_watch.spread([1, 2], 5) == [1, 2]


def test_samples_stand_one_person_a_row(tmp_path):
    strip = []
    for step in (0, 50):
        paths = [tmp_path / f"{step}-{place}.png" for place in range(2)]
        for path in paths:
            Image.new("RGB", (16, 16), "teal").save(path)
        strip.append((step, paths))
    html = tune_watch.samples_html(strip)
    assert html.count("<tr>") == 3 and html.count("data:image/jpeg") == 4 and ">50</th>" in html
    assert tune_watch.samples_html([]) == ""
    assert "Free samples" not in html and "Free samples" in tune_watch.samples_html(strip, free=True)
    assert "the model's own pictures" in tune_watch.samples_html(strip, free=True)  # a text-to-image model is no base
    strip[1][1][0].unlink()  # deleted meanwhile
    assert tune_watch.samples_html(strip).count("data:image/jpeg") == 3


def test_log_tail(tmp_path):
    assert tune_watch.log_tail(Row(tmp_path)) == "" == tune_watch.log_tail(None)
    (tmp_path / "log.txt").write_text("\n".join(str(line) for line in range(500)))
    assert tune_watch.log_tail(Row(tmp_path)).splitlines()[0] == "300"

"""The Runs tab's words: finding, listing, comparing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from PIL import Image

from core.methods import METHODS
from ui.runs_show import ALL, STATE_CHOICES, compare_html, last_picture, list_html, matching, run_html


@dataclass(frozen=True)
class Row:
    """As much of a job's row as is shown."""

    folder: Path
    id: str = "20260101-000000-abcd"
    name: str = "pencil <i>sketch</i>"
    method: str = "diffusionclip"
    kind: str = "tune"
    state: str = "interrupted"
    step: int = 3
    total: int = 80
    message: str = "The lab ended while this was running."
    created: float = 1.0
    finished: float | None = 61.0
    settings: dict = field(default_factory=lambda: {"target_prompt": "a pencil sketch", "return_step": 601, "learning_rate": 5e-05})


class Lab:
    methods = METHODS

    def sample_strip(self, id):
        return []


def test_matching_by_words_and_state(tmp_path):
    rows = [Row(tmp_path), Row(tmp_path, id="2", name="oil", state="done", settings={"target_prompt": "an oil painting"})]
    assert matching(rows, "", ALL) == rows
    assert matching(rows, "SKETCH 601", ALL) == rows[:1]
    assert matching(rows, "painting", "done") == rows[1:] and matching(rows, "painting", "failed") == []
    assert len(STATE_CHOICES) == 8


def test_names_are_escaped_and_the_state_is_told(tmp_path):
    html = list_html(Lab(), [Row(tmp_path)], "20260101-000000-abcd") + run_html(Lab(), Row(tmp_path))
    assert "<i>sketch" not in html and "interrupted" in html and "The lab ended" in html
    assert 'aria-pressed="true"' in html and "1 min until its end" in html


def test_settings_stand_under_their_titles_and_differences_first(tmp_path):
    one = Row(tmp_path)
    html = compare_html(Lab(), one, replace(one, id="2", settings={**one.settings, "return_step": 401}))
    assert html.count("class=differs") == 1
    assert html.index("Return step") < html.index("Target prompt") and "5e-05" in html


@pytest.mark.parametrize("method", ["diffusionclip", "gone"])
def test_a_run_of_a_method_that_is_gone_is_still_shown(tmp_path, method):
    assert "return" in run_html(Lab(), Row(tmp_path, method=method)).casefold()


@pytest.mark.parametrize(("kind", "method", "free"), [("tune", "diffusionclip", False), ("tune", "sdft", True), ("personalise", "", True)])
def test_samples_that_edit_nothing_are_said_to_be_free(tmp_path, monkeypatch, kind, method, free):
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    monkeypatch.setattr(Lab, "sample_strip", lambda self, id: [(10, [tmp_path / "0.png"])])
    assert ("Free samples" in run_html(Lab(), Row(tmp_path, kind=kind, method=method))) == free


def test_a_set_that_was_made_stands_for_its_run(tmp_path):
    job = Row(tmp_path)
    assert last_picture(Lab(), job) == ""
    (tmp_path / "adapted" / "images").mkdir(parents=True)
    Image.new("RGB", (8, 8), "teal").save(tmp_path / "adapted" / "images" / "00000.png")
    assert last_picture(Lab(), job).startswith("data:image/jpeg")

"""The Data tab's sets: what is kept, what is left out, and a table that no file name can break."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from core.models import faces
from ui import data_sets
from ui.data_sets import DataSets, report_html


def picture(folder: Path, name: str, size: tuple[int, int] = (40, 30)) -> Path:
    path = folder / name
    Image.new("RGB", size, "teal").save(path, "PNG")
    return path


@pytest.mark.long
def test_refused_files_are_listed_and_the_rest_goes_on(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nxx")
    sets = DataSets()
    sets.add("source", [picture(tmp_path, "a.png"), broken, picture(tmp_path, "b.png", (3000, 2000))])
    assert [image.name for image in sets.images("source")] == ["a.png", "b.png"]
    assert sets.images("source")[1].image.size == (1024, 683)
    html = report_html(sets)
    assert "1 file was left out" in html and "damaged" in html and "3000 × 2000" in html and "reduced to 1024 px" in html


def test_one_shot_keeps_the_newest_and_a_set_has_an_end(tmp_path, monkeypatch):
    sets = DataSets()
    for name in ("a.png", "b.png"):
        sets.add("one_shot", [picture(tmp_path, name)])
    assert [image.name for image in sets.images("one_shot")] == ["b.png"]
    (tmp_path / "broken.png").write_bytes(b"no picture")
    sets.add("one_shot", [tmp_path / "broken.png"])
    sets.add("one_shot", [])  # as "choose a domain" among the examples does
    assert [image.name for image in sets.images("one_shot")] == ["b.png"] and sets.refused[-1][0] == "broken.png"
    monkeypatch.setattr(data_sets, "KEPT_IMAGES", 1)
    sets.add("target", [tmp_path / "a.png", tmp_path / "b.png"])
    assert len(sets.images("target")) == 1 and "full" in sets.refused[-1][1]


def test_names_are_escaped(tmp_path):
    sets = DataSets()
    sets.add("source", [picture(tmp_path, "<img src=x onerror=alert(1)>.png"), tmp_path / "<b>gone.png"])
    assert "<img src=x" not in report_html(sets) and "<b>gone" not in report_html(sets)


def test_faces_are_found_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(faces, "detect", lambda image: [faces.Face((2, 2, 20, 20), 0.97)])
    sets = DataSets()
    sets.add("source", [picture(tmp_path, "a.png")])
    assert "looking" in report_html(sets)
    assert sets.look_for_faces() and not sets.look_for_faces()
    assert "1 face (97%)" in report_html(sets)


def test_remove(tmp_path):
    sets = DataSets()
    sets.add("source", [picture(tmp_path, name) for name in ("a.png", "b.png", "c.png")])
    sets.remove("source", 1)
    assert [image.name for image in sets.images("source")] == ["a.png", "c.png"]
    sets.remove("source", None)
    assert sets.total == 0 and "No images yet" in report_html(sets)


@pytest.mark.parametrize("domain", ["photo", "sketch"])
def test_examples_can_be_read(domain):
    sets = DataSets()
    sets.add("target", data_sets.example_files()[domain])
    assert sets.total >= 3 and not sets.refused

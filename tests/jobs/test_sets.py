"""Labelled sets that a lab keeps: brought, drawn, read in the background, found again, split as chosen."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from core.data.labelled import load_set
from core.jobs.sets import READ, Drawn, SetShelf
from core.types import ShiftlabError
from tests.adaptation.helpers import write_set
from tests.jobs.helpers import wait_until

PORTRAITS = Drawn(count=6, domain="sketch", size=16, seed=1, attributes={"glasses": True})


def zipped(folder: Path, count: int = 5) -> Path:
    files = sorted(write_set(folder, count).rglob("*.png"))
    with zipfile.ZipFile(folder / "faces.zip", "w") as file:
        for path in files:
            file.write(path, path.relative_to(folder).as_posix())
    return folder / "faces.zip"


def test_a_zip_is_read_and_outlives_its_upload(tmp_path):
    shelf, path = SetShelf(tmp_path / "sets"), zipped(tmp_path / "in")
    assert shelf.entries() == [] and shelf.latest() == ""
    id = shelf.bring(path, "faces.zip")
    wait_until(lambda: shelf.entries()[0].ready)
    assert shelf.entry(id) == shelf.entries()[0]
    assert [shelf.entry(other) for other in ("", "..", f"../sets/{id}", f".{id}", "nobody's")] == [None] * 5
    path.unlink()
    again = SetShelf(tmp_path / "sets")
    labelled = again.load(again.latest())
    assert again.latest() == id and len(labelled) == 10 and labelled.picture(labelled.items[0])

    drawn = again.split(id, again.choose(id, test=0.4, adapt="a run"))
    assert {split: len(drawn.split(split)) for split in ("train", "validation", "test")} == {"train": 6, "validation": 0, "test": 4}
    assert SetShelf(tmp_path / "sets").choices(id).adapt == "a run" and again.choices(id).column == "class"
    with pytest.raises(ShiftlabError, match="leave nothing to train on"):
        again.split(id, again.choose(id, test=0.9))


def test_portraits_are_drawn_with_their_labels(tmp_path):
    shelf = SetShelf(tmp_path)
    id = shelf.draw(PORTRAITS, "six sketches")
    wait_until(lambda: shelf.entries()[0].ready)
    labelled = shelf.load(id)
    assert labelled.classes("glasses") == ["yes"] and len(labelled) == 6 and "smiling" in labelled.columns
    assert shelf.draw(PORTRAITS, "the same again") == id and shelf.entries()[0].ready


def test_pictures_without_labels_have_a_shelf_of_their_own(tmp_path):
    shelf = SetShelf(tmp_path / "targets", labels=False)
    id = shelf.bring(zipped(tmp_path / "in"), "no labels")
    wait_until(lambda: shelf.entries()[0].ready)
    assert shelf.load(id).columns == () and len(load_set(shelf.read_index(id))) == 10


def test_a_set_is_made_of_another_with_its_choices(tmp_path):
    shelf = SetShelf(tmp_path / "sets")
    of = shelf.bring(zipped(tmp_path / "in"), "faces")
    wait_until(lambda: shelf.entries()[0].ready)
    shelf.choose(of, target="other", adapt="a run")
    half = shelf.split(of, shelf.choices(of))
    half = replace(half, items=half.items[::2])
    assert shelf.derive(of, "half", "half of the faces", half.save) == "half" == shelf.latest()
    assert len(shelf.load("half")) == 5 and shelf.load("half").picture(half.items[0])
    assert shelf.choices("half").target == "other" and shelf.choices("half").adapt == ""


def test_what_goes_wrong_is_told_and_done_again(tmp_path):
    shelf = SetShelf(tmp_path / "sets")
    (tmp_path / "no.zip").write_bytes(b"no ZIP at all")
    id = shelf.bring(tmp_path / "no.zip", "no.zip")
    wait_until(lambda: shelf.entries()[0].state == "failed")
    assert "ZIP" in shelf.entries()[0].message
    with pytest.raises(ShiftlabError, match="not read yet"):
        shelf.load(id)
    after_a_kill = SetShelf(tmp_path / "sets")
    assert after_a_kill.entries()[0].state == "interrupted"
    drawn = after_a_kill.draw(PORTRAITS, "six")
    wait_until(lambda: after_a_kill.entries()[0].ready)
    (tmp_path / "sets" / drawn / READ).unlink()
    after_a_kill.read_again(drawn)
    wait_until(lambda: (tmp_path / "sets" / drawn / READ).is_file())

"""Labelled sets that a lab keeps: brought, drawn, read in the background, found again, split as chosen."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from core.data.labelled import Report, load_set, read_set
from core.data.segmented_write import write_segmented_zip
from core.jobs.fetch import Fetcher
from core.jobs.scenes import SceneShelf
from core.jobs.sets import READ, ZIP, Choices, Drawn, SetShelf
from core.types import ShiftlabError, Stopped
from tests.adaptation.helpers import write_set
from tests.adaptation.segment_helpers import CLASSES, scenes
from tests.jobs.helpers import wait_until

PORTRAITS = Drawn(count=6, domain="sketch", size=16, seed=1, attributes={"glasses": True})


def zipped(folder: Path, count: int = 5) -> Path:
    files = sorted(write_set(folder, count).rglob("*.png"))
    with zipfile.ZipFile(folder / "faces.zip", "w") as file:
        for path in files:
            file.write(path, path.relative_to(folder).as_posix())
    return folder / "faces.zip"


def restarted(shelf: SetShelf) -> None:
    """The lab ended while the newest set was being read, and was started anew."""
    (shelf.root / shelf.entries()[0].id / READ).unlink()
    shelf._reader = Fetcher(shelf._read)


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


def test_a_set_without_a_label_column_is_refused_and_an_old_one_stands_in_nobodys_way(tmp_path):
    shelf = SetShelf(tmp_path / "sets")
    good = shelf.bring(zipped(tmp_path / "in"), "good")
    pictures = sorted((tmp_path / "in").rglob("*.png"))
    with zipfile.ZipFile(tmp_path / "bare.zip", "w") as file:
        file.writestr("metadata.csv", "file_name\n" + "\n".join(f"{place}.png" for place, _ in enumerate(pictures)))
        for place, path in enumerate(pictures):
            file.write(path, f"{place}.png")
    id = shelf.bring(tmp_path / "bare.zip", "bare")
    wait_until(lambda: {entry.state for entry in shelf.entries()} == {"done", "failed"})
    assert shelf.latest() == good and "no label column" in shelf.entry(id).message

    note = "The column text has 312 values, so it was not taken for a label."  # read before such sets were refused
    bare = read_set(tmp_path / "bare.zip", labels=False)
    replace(bare, report=Report("metadata", (), (note,))).save(shelf.root / id / READ)
    (shelf.root / id / "choices.json").write_text("{}")
    entry = shelf.entry(id)
    assert entry.state == "failed" and note in entry.message and shelf.latest() == good
    for asks in (shelf.load, shelf.choices, lambda id: shelf.split_index(id, Choices())):
        with pytest.raises(ShiftlabError, match="no label column"):
            asks(id)


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


def test_the_reading_of_images_and_masks_tells_how_far_it_is(tmp_path):
    shelf = SceneShelf(tmp_path / "scenes")
    (tmp_path / "scenes" / "streets").mkdir(parents=True)
    write_segmented_zip(tmp_path / "scenes" / "streets" / ZIP, scenes(17), CLASSES)
    walk = shelf._read("streets", lambda: False)
    assert [(event.phase, event.step, event.total) for event in walk] == [("read", 16, 17), ("read", 17, 17)]
    assert len(shelf.load("streets")) == 17
    with pytest.raises(Stopped):
        list(shelf._read("streets", lambda: True))


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

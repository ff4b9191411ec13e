"""Labelled sets in every layout, with all that people and attackers put into them."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from core.data import labelled_layouts
from core.data.labelled import SPLIT_NAMES, label_columns, load_set, png_names, read_set
from core.data.labelled_split import drawn_split, given_parts, has_split, with_split
from core.data.labelled_write import write_tables
from core.types import ShiftlabError


def picture(shade: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (12, 10), (shade, 255 - shade, shade // 2)).save(buffer, kind)
    return buffer.getvalue()


def packed(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def unpacked(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def why(found, name: str) -> str:
    return next(item.why for item in found.report.left_out if item.name == name)


@pytest.mark.parametrize("pack", [packed, unpacked])
def test_class_folders_with_a_given_split(pack, tmp_path):
    files = {f"faces/{split}/{label}/{k}.png": picture(10 * k + s + 3 * n) for n, label in enumerate(("no", "yes"))
             for s, split in enumerate(("train", "val", "test")) for k in range(3)}  # fmt: skip
    found = read_set(pack(tmp_path / "set.zip", files))
    assert (len(found), found.columns, found.classes("class"), has_split(found)) == (18, ("class",), ["no", "yes"], True)
    assert found.counts("class")["validation", "yes"] == 3
    assert found.picture(found.items[0]).size == (12, 10)


def test_only_one_class_below_no_folder_is_left_out(tmp_path):
    found = read_set(unpacked(tmp_path, {"a/1.png": picture(1), "b/deep/2.png": picture(2), "3.png": picture(3), "b/notes.txt": b"x"}))
    assert [(item.name, item.labels) for item in found.items] == [("a/1.png", ("a",)), ("b/deep/2.png", ("b",))]
    assert why(found, "3.png") == "lies in no class folder"


def test_metadata_with_several_columns(tmp_path):
    table = "file_name,smiling,hair,split\n1.png,0,brown,train\nsub/2.jpg,1,,test\n"
    table += "lost.png,1,red,train\n../out.png,1,red,train\n1.png,1,x,\n"
    files = {"metadata.csv": table.encode(), "1.png": picture(1), "sub/2.jpg": picture(2, "JPEG"), "none.png": picture(3)}
    found = read_set(packed(tmp_path / "set.zip", files))
    assert found.columns == ("smiling", "hair") and found.items[1].labels == ("1", "") and found.items[1].split == "test"
    assert "without an image" in why(found, "lost.png") and "out of the set" in why(found, "../out.png")
    assert "without a label" in why(found, "none.png") and "labelled twice" in why(found, "1.png")
    assert len(found.labelled("hair")) == 1
    assert read_set(tmp_path / "set.zip", ["hair"]).columns == ("hair",)
    with pytest.raises(ShiftlabError, match="no label column 'nose'"):
        read_set(tmp_path / "set.zip", ["nose"])


@pytest.mark.parametrize(("column", "note"), [("", ""), (",text", "The column text has 2 values, so it was not taken for a label.")])
def test_a_table_without_a_label_is_refused(column, note, tmp_path, monkeypatch):
    monkeypatch.setattr(labelled_layouts, "MAX_CLASSES", 1)
    rows = [f"{k}.png{column and f',caption {k}'}" for k in (1, 2)]
    files = {"metadata.csv": "\n".join([f"file_name{column}", *rows]).encode(), "1.png": picture(1), "2.png": picture(2)}
    for ask in (read_set, label_columns):
        with pytest.raises(ShiftlabError, match="no label column") as refused:
            ask(packed(tmp_path / "set.zip", files))
        assert note in str(refused.value)


@pytest.mark.parametrize("line", ["first", "second"])
def test_a_table_that_cannot_be_read_is_a_sentence(line, tmp_path):
    lines = {"first": f"file_name,{'x' * 200_000}\n1.png,a\n", "second": f"file_name,hair\n1.png,{'x' * 200_000}\n"}
    files = {"metadata.csv": lines[line].encode(), "1.png": picture(1)}
    with pytest.raises(ShiftlabError, match=r"metadata\.csv is no table that can be read"):
        read_set(packed(tmp_path / "set.zip", files))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_tables_in_every_encoding(encoding, tmp_path):
    table = "file_name,Größe\nmüde.png,groß\n".encode(encoding)
    found = read_set(packed(tmp_path / "set.zip", {"metadata.csv": table, "müde.png": picture(1)}))
    assert (found.columns, found.items[0].labels) == (("Größe",), ("groß",))
    assert bool(found.report.notes) == (encoding in ("utf-16", "cp1252"))


@pytest.mark.parametrize("name", ["list_attr_celeba.txt", "CelebAMask-HQ-attribute-anno.txt"])
def test_celeba_with_partition_and_column_picker(name, tmp_path):
    table = b"3\nEyeglasses Smiling\n0.jpg  1 -1\n1.jpg -1  1\n2.jpg -1 1\n3.jpg 1\n"
    files = {name: table, "list_eval_partition.txt": b"0.jpg 0\n1.jpg 2\n"}
    files |= {"img/0.jpg": picture(1, "JPEG"), "img/1.jpg": picture(2, "JPEG"), "CelebAMask-HQ-mask-anno/0/00000_hair.png": picture(3)}
    source = unpacked(tmp_path, files)
    assert label_columns(source) == ["Eyeglasses", "Smiling"]
    found = read_set(source, ["Smiling"])
    assert [(item.labels, item.split) for item in found.items] == [(("no",), "train"), (("yes",), "test")]
    assert "without an image" in why(found, "2.jpg") and "not 2 values" in why(found, "3.jpg")
    assert len(found.report.left_out) == 2 and "lie masks (1), which were not taken for pictures" in found.report.notes[0]


def test_what_is_broken_is_named_and_the_rest_goes_on(tmp_path):
    files = {"a/ok.png": picture(1), "b/ok.png": picture(2), "a/zero.png": b"", "a/cut.png": picture(3)[:40], "a/text.png": b"no picture",
             "a/twin.png": picture(1), "b/twin.png": picture(1), "__MACOSX/a/x.png": b"x"}  # fmt: skip
    found = read_set(packed(tmp_path / "set.zip", files))
    assert [item.name for item in found.items] == ["a/ok.png", "b/ok.png"]
    assert why(found, "a/zero.png") == "empty (0 bytes)" and "damaged" in why(found, "a/cut.png")
    assert why(found, "a/twin.png") == "a duplicate of a/ok.png"
    assert why(found, "b/twin.png") == "a duplicate with other labels of a/ok.png"
    assert dict(found.report.reasons())["empty"] == 1
    assert len(found.report.left_out) == 5


def test_tricks_in_a_zip_are_left_out(tmp_path):
    path = packed(tmp_path / "set.zip", {"a/1.png": picture(1), "b/2.png": picture(2), "../a/3.png": picture(3), "/a/4.png": picture(4),
                                         "C:\\a\\5.png": picture(5), "a/bomb.png": bytes(8 << 20)})  # fmt: skip
    link = zipfile.ZipInfo("a/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    found = read_set(path)
    assert len(found) == 2 and "ZIP bomb" in why(found, "a/bomb.png") and "symbolic link" in why(found, "a/link.png")
    assert "out of the set" in why(found, "../a/3.png")
    assert why(found, "/a/4.png") == why(found, "C:/a/5.png") == "an absolute path"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["set.zip"]


def test_a_damaged_entry_and_links_in_a_folder(tmp_path):
    path = packed(tmp_path / "set.zip", {"a/1.png": picture(1), "b/2.png": picture(2)})
    data = bytearray(path.read_bytes())
    data[data.index(b"a/1.png") + 12] ^= 0xFF
    path.write_bytes(data)
    found = read_set(path)
    assert [item.name for item in found.items] == ["b/2.png"] and "damaged" in why(found, "a/1.png")
    folder = unpacked(tmp_path / "folder", {"a/1.png": picture(1), "b/2.png": picture(2)})
    (folder / "a" / "away.png").symlink_to("/etc/passwd")
    (folder / "c").symlink_to(folder / "a")
    found = read_set(folder)
    assert len(found) == 2 and "symbolic link" in why(found, "a/away.png") and "symbolic link" in why(found, "c")


def test_names_that_are_no_text_are_left_out_of_a_folder(tmp_path):
    folder = unpacked(tmp_path / "set", {"a/1.png": picture(1), "b/2.png": picture(2), "a/line\nbreak.png": picture(3)})
    for name in (b"a/m\xfcde.png", b"b\xe9/3.png"):
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(os.fsdecode(path)).write_bytes(picture(len(name)))
    os.symlink(b"a", os.path.join(os.fsencode(folder), b"l\xefnk"))
    found = read_set(folder)
    assert [item.name for item in found.items] == ["a/1.png", "b/2.png"]
    told = dict(found.report.left_out)
    assert told["a/m\\udcfcde.png"] == told["b\\udce9/3.png"] == "a name that is not UTF-8" and "symbolic link" in told["l\\udcefnk"]
    assert "control characters" in told["a/line\nbreak.png"]
    assert "\n".join(f"{name}: {why}" for name, why in told.items()).encode()


@pytest.mark.parametrize("source", ["missing", "text.zip", "empty"])
def test_what_is_no_set_is_refused(source, tmp_path):
    (tmp_path / "text.zip").write_bytes(b"no zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ShiftlabError):
        read_set(tmp_path / source)


def test_the_index_is_kept_and_a_changed_picture_is_noticed(tmp_path):
    folder = unpacked(tmp_path / "set", {"a/1.png": picture(1), "b/2.png": picture(2), "b/0.png": b""})
    found = read_set(folder)
    again = load_set(found.save(tmp_path / "set.jsonl"))
    assert (again.items, again.columns, again.report) == (found.items, found.columns, found.report)
    (folder / "a" / "1.png").write_bytes(picture(9))
    with pytest.raises(ShiftlabError, match="has changed"):
        again.picture(again.items[0])
    with pytest.raises(ShiftlabError, match="no index"):
        load_set(folder / "b" / "2.png")


def test_the_split_is_stratified_and_seeded(tmp_path):
    files = {f"no/{k}.png": picture(k) for k in range(40)} | {f"yes/{k}.png": picture(100 + k) for k in range(20)}
    found = read_set(unpacked(tmp_path, files))
    drawn = drawn_split(found, "class", validation=0.1, test=0.25, seed=3)
    counts = drawn.counts("class")
    assert [counts[split, "no"] for split in ("train", "validation", "test")] == [26, 4, 10]
    assert [counts[split, "yes"] for split in ("train", "validation", "test")] == [13, 2, 5]
    assert drawn.items == drawn_split(found, "class", 0.1, 0.25, 3).items != drawn_split(found, "class", 0.1, 0.25, 4).items
    assert with_split(drawn, "class", seed=9).items == drawn.items
    with pytest.raises(ShiftlabError, match="nothing to train on"):
        drawn_split(found, "class", 0.5, 0.5)


@pytest.mark.parametrize("missing", ["test", "validation"])
def test_a_missing_part_is_drawn_from_the_training_pictures(missing, tmp_path):
    given = "val" if missing == "test" else "test"
    files = {f"{split}/{label}/{k}.png": picture(20 * n + k + 100 * s) for s, (split, count) in enumerate((("train", 20), (given, 5)))
             for n, label in enumerate(("no", "yes")) for k in range(count)}  # fmt: skip
    found = read_set(unpacked(tmp_path, files))
    whole = with_split(found, "class", 0.1, 0.2, seed=3)
    kept = {"test": "validation", "validation": "test"}[missing]
    assert given_parts(found) == (kept,) and not has_split(found) and has_split(whole)
    assert whole.split(kept) == found.split(kept) and whole.items != with_split(found, "class", 0.1, 0.2, seed=4).items
    drawn = {"test": 4, "validation": 2}[missing]
    counts = whole.counts("class")
    assert [counts[split, label] for label in ("no", "yes") for split in ("train", missing)] == [20 - drawn, drawn] * 2


def test_a_part_is_drawn_from_the_pictures_without_a_split_where_there_are_any(tmp_path):
    files = {f"{folder}a/{k}.png": picture(100 * s + k) for s, folder in enumerate(("train/", "val/", "")) for k in range(10)}
    files["b/1.png"] = picture(250)
    found = read_set(unpacked(tmp_path, files))
    whole = with_split(found, "class", 0.1, 0.2)
    assert set(found.split("train")) < set(whole.split("train")) and whole.split("validation") == found.split("validation")
    assert len(whole.split("test")) == 2
    alone = replace(found, items=tuple(found.split("train")))  # one folder named so, and nothing beside it
    assert {split: len(with_split(alone, "class").split(split)) for split in SPLIT_NAMES} == {"train": 7, "validation": 1, "test": 2}


@pytest.mark.parametrize("layout", ["folders", "metadata", "celeba"])
def test_what_is_written_is_read_alike(layout, tmp_path):
    tables = {"folders": {}, "metadata": {"metadata.csv": b"file_name,l\na/1.jpg,x\nb/1.png,y\n"},
              "celeba": {"list_attr_celeba.txt": b"2\nl\n1.jpg 1\n2.jpg -1\n"}}  # fmt: skip
    names = ("a/1.jpg", "a/2.jpg") if layout == "celeba" else ("a/1.jpg", "b/1.png")
    files = {name: picture(9 * k, "JPEG") for k, name in enumerate(names)}
    found = read_set(unpacked(tmp_path / "in", {**tables[layout], **files}))
    found = drawn_split(found, found.columns[0], 0, 0.5)
    new = png_names(found.items)
    unpacked(tmp_path / "out", {name: picture(k) for k, name in enumerate(new)})
    write_tables(tmp_path / "out", found, new)
    again = read_set(tmp_path / "out")
    assert [(item.labels, item.split) for item in again.items] == [(item.labels, item.split) for item in found.items]
    assert all(item.name.endswith(".png") for item in again.items)


def test_names_that_would_meet_are_kept_apart(tmp_path):
    found = read_set(unpacked(tmp_path, {"a/1.png": picture(1), "a/1.jpg": picture(2, "JPEG"), "b/2.webp": picture(3, "WEBP")}))
    assert png_names(found.items) == ["a/1.jpg.png", "a/1.png.png", "b/2.png"]


def test_pictures_of_a_target_need_no_labels(tmp_path):
    folder = unpacked(tmp_path / "target", {"1.png": picture(1), "deep/2.png": picture(2), "deep/again.png": picture(2), "notes.txt": b"x"})
    found = read_set(folder, labels=False)
    assert [(item.name, item.labels) for item in found.items] == [("1.png", ()), ("deep/2.png", ())] and found.columns == ()
    assert why(found, "deep/again.png") == "a duplicate of deep/2.png"
    assert load_set(found.save(tmp_path / "target.jsonl")).items == found.items
    with pytest.raises(ShiftlabError, match="no picture in it"):
        read_set(unpacked(tmp_path / "none", {"notes.txt": b"x"}), labels=False)


def test_pictures_that_were_taken_several_times_are_numbered(tmp_path):
    items = read_set(unpacked(tmp_path, {"a/1.png": picture(1), "b/2.jpg": picture(2)})).items
    assert png_names([items[0], items[1], items[1], items[0], items[1]]) == ["a/1.png", "b/2.png", "b/2~2.png", "a/1~2.png", "b/2~3.png"]

"""Segmentation sets: pairs in several layouts, palettes and id maps, and everything that can be wrong with a mask."""

from __future__ import annotations

import io
import json
import stat
import zipfile

import numpy as np
import pytest
from PIL import Image

from core.data.mask_classes import IGNORE, cityscapes, mask_classes, read_classes
from core.data.segmented import held_out, load_segmented, open_segmented, read_segmented, read_unlabelled, with_split
from core.data.segmented_write import Scene, scenes_of, write_segmented, write_segmented_zip
from core.types import ShiftlabError
from tests.data.test_labelled import packed, unpacked, why

SIZE = (16, 8)


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def photo(shade: int, size: tuple[int, int] = SIZE) -> bytes:
    return png(Image.new("RGB", size, (shade, 255 - shade, 7)))


def grey(*values: int, size: tuple[int, int] = SIZE) -> bytes:
    """A mask in vertical stripes of these values."""
    width, height = size
    return png(Image.fromarray(np.tile(np.repeat(np.array(values, np.uint8), -(-width // len(values)))[:width], (height, 1))))


def coloured(*colours: tuple[int, int, int]) -> bytes:
    stripes = np.repeat(np.array(colours, np.uint8), SIZE[0] // len(colours), axis=0)
    return png(Image.fromarray(np.tile(stripes, (SIZE[1], 1, 1))))


def mask_of(found, name: str) -> np.ndarray:
    return found.mask(next(item for item in found.items if item.name.endswith(name)))


@pytest.mark.parametrize("pack", [packed, unpacked])
@pytest.mark.parametrize(("image", "mask"), [("set/images/train/{}.png", "set/masks/train/{}.png"),
                                             ("train/images/{}.jpg", "train/labels/{}.png")])  # fmt: skip
def test_pairs_in_folders(pack, image, mask, tmp_path):
    files = {image.format(k): photo(10 * k) for k in range(3)} | {mask.format(k): grey(0, 13, IGNORE, 2) for k in range(3)}
    found = read_segmented(pack(tmp_path / "set.zip", files))
    assert len(found.split("train")) == 3 and found.classes == cityscapes() and "classes are Cityscapes'" in found.report.notes[0]
    assert mask_of(found, found.items[0].name)[0].tolist() == [0] * 4 + [13] * 4 + [IGNORE] * 4 + [2] * 4
    assert found.picture(found.items[0]).size == SIZE and found.pixels["car"] == 3 * 32 and found.pixels[""] == 3 * 32


def test_the_original_layout_of_cityscapes(tmp_path):
    masks = {"labelIds": grey(7, 26, 0, 33), "color": coloured((1, 2, 3)), "instanceIds": grey(200)}
    files = {f"gtFine/val/ulm/ulm_0_gtFine_{kind}.png": data for kind, data in masks.items()}
    files["leftImg8bit/val/ulm/ulm_0_leftImg8bit.png"] = photo(1)
    found = read_segmented(unpacked(tmp_path, files))
    assert not found.report.left_out and found.items[0].split == "validation"
    assert mask_of(found, "leftImg8bit.png")[0, ::4].tolist() == [0, 13, IGNORE, 18]


def test_colours_and_an_id_map_of_the_sets_own(tmp_path):
    table = {"classes": {"way": 0, "beast": 4}, "palette": {"way": [9, 9, 9], "beast": [200, 0, 0]}, "ids": {"40": "way", "50": "beast"},
             "ignore": [60, [0, 0, 0]]}  # fmt: skip
    files = {"images/a.png": photo(1), "masks/a.png": coloured((9, 9, 9), (200, 0, 0), (0, 0, 0), (9, 9, 9)), "images/b.png": photo(2),
             "masks/b.png": grey(40, 50, 60, 40), "classes.json": json.dumps(table).encode()}  # fmt: skip
    found = read_segmented(packed(tmp_path / "set.zip", files))
    for name in ("a.png", "b.png"):
        assert mask_of(found, name)[0, ::4].tolist() == [0, 4, IGNORE, 0]
    assert read_classes(json.dumps(found.classes.facts()).encode()) == found.classes


def test_classes_of_one_colour_cannot_be_told_apart(tmp_path):
    table = {"classes": {"way": 0, "beast": 4}, "palette": {"way": [9, 9, 9], "beast": [9, 9, 9]}}
    files = {"images/a.png": photo(1), "masks/a.png": coloured((9, 9, 9)), "images/b.png": photo(2), "masks/b.png": grey(0, 4),
             "classes.json": json.dumps(table).encode()}  # fmt: skip
    found = read_segmented(packed(tmp_path / "set.zip", files))
    assert [item.name for item in found.items] == ["images/b.png"] and "way and beast have the same colour" in why(found, "masks/a.png")


def test_what_is_wrong_with_a_mask_is_named_and_the_rest_goes_on(tmp_path):
    files = {f"images/{name}.png": photo(10 * k) for k, name in enumerate(("ok", "ids", "hues", "size", "cut", "alone", "twin", "zero"))}
    files |= {"images/none.png": photo(99), "masks/none.png": grey(IGNORE)}
    files |= {"masks/ok.png": grey(0), "masks/ids.png": grey(0, 77, 78, 0), "masks/hues.png": coloured((128, 64, 128), (1, 2, 3)),
              "masks/size.png": grey(0, size=(8, 8)), "masks/cut.png": grey(0)[:45], "masks/lost.png": grey(0), "masks/twin.png": grey(0),
              "masks/zero.png": b"", "images/twin.png": photo(0), "loose.png": photo(9)}  # fmt: skip
    found = read_segmented(packed(tmp_path / "set.zip", files))
    assert [item.name for item in found.items] == ["images/ok.png"]
    assert "(77: 32 pixels, 78: 32 pixels)" in why(found, "masks/ids.png") and "(1, 2, 3): 64 pixels" in why(found, "masks/hues.png")
    assert "another size (8 × 8) than its image (16 × 8)" in why(found, "masks/size.png") and "damaged" in why(found, "masks/cut.png")
    assert why(found, "images/alone.png") == "an image without a mask" and why(found, "masks/lost.png") == "a mask without an image"
    assert "no pixel of any class" in why(found, "masks/none.png")
    assert "a duplicate of images/ok.png" in why(found, "images/twin.png") and "empty" in why(found, "masks/zero.png")
    assert "neither" in why(found, "loose.png")


def test_tricks_are_left_out(tmp_path):
    path = packed(tmp_path / "set.zip", {"images/a.png": photo(1), "masks/a.png": grey(0), "../masks/b.png": grey(0)})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("masks/bomb.png", bytes(4 << 20))
        link = zipfile.ZipInfo("images/link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    found = read_segmented(path)
    assert len(found) == 1 and "ZIP bomb" in why(found, "masks/bomb.png") and "symbolic link" in why(found, "images/link.png")
    assert "leads out" in why(found, "../masks/b.png")


BAD_TABLES = [
    b"[]", b"{",
    b'{"classes": {"a": 0, "b": 0}}', b'{"classes": {"a": 300}}', b'{"colors": {}}', b'{"classes": {"a": 0}, "ids": {"4": "b"}}',
    b'{"classes": {"a": 0}, "palette": {"a": [1, 2]}}', b'{"classes": {"a": Infinity}}',
]  # fmt: skip


@pytest.mark.parametrize("table", BAD_TABLES)
def test_a_table_that_cannot_be_understood_says_so(table, tmp_path):
    files = {"images/a.png": photo(1), "masks/a.png": grey(0), "classes.json": table}
    with pytest.raises(ShiftlabError, match=r"classes\.json cannot be understood"):
        read_segmented(packed(tmp_path / "set.zip", files))


def test_nothing_usable_says_why(tmp_path):
    with pytest.raises(ShiftlabError, match="No image with a mask"):
        read_segmented(unpacked(tmp_path / "a", {"images/a.png": photo(1)}))
    with pytest.raises(ShiftlabError, match=r"masks/a\.png: Unknown values"):
        read_segmented(unpacked(tmp_path / "b", {"images/a.png": photo(1), "masks/a.png": grey(99)}))
    with pytest.raises(ShiftlabError, match="no picture"):
        read_unlabelled(unpacked(tmp_path / "c", {"a.png": b"x"}))


def test_written_and_read_again(tmp_path):
    classes = mask_classes({"road": 0, "bus": 15}, {"road": (128, 64, 128), "bus": (0, 60, 100)})
    rng = np.random.default_rng(0)
    masks = [rng.choice(np.array([0, 15, IGNORE], np.uint8), (8, 16)) for _ in range(3)]
    scenes = [Scene(f"s{k}", Image.fromarray(rng.integers(0, 255, (8, 16, 3), np.uint8)), mask, "test") for k, mask in enumerate(masks)]
    assert list(write_segmented(tmp_path / "set", iter(scenes), classes)) == [1, 2, 3]
    found = read_segmented(tmp_path / "set")
    again = read_segmented(write_segmented_zip(tmp_path / "set.zip", scenes_of(found), found.classes))
    for labelled in (found, again, load_segmented(found.save(tmp_path / "set.jsonl"))):
        assert labelled.classes.classes == classes.classes and labelled.classes.palette == classes.palette
        assert all(np.array_equal(labelled.mask(item), mask) for item, mask in zip(labelled.items, masks, strict=True))
        assert {item.split for item in labelled.items} == {"test"}
    assert Image.open(tmp_path / "set/masks/test/s0.png").convert("RGB").getpixel((0, 0)) in [(128, 64, 128), (0, 60, 100), (0, 0, 0)]


def test_an_index_is_checked_and_a_change_is_seen(tmp_path):
    folder = unpacked(tmp_path / "set", {"images/a.png": photo(1), "masks/a.png": grey(0)})
    found = open_segmented(read_segmented(folder).save(tmp_path / "set.jsonl"))
    (folder / "masks/a.png").write_bytes(grey(1))
    with pytest.raises(ShiftlabError, match=r"masks/a\.png is no longer .* or has changed"):
        found.mask(found.items[0])
    (tmp_path / "other.jsonl").write_text("{}\n")
    with pytest.raises(ShiftlabError, match="no index of a segmentation set"):
        load_segmented(tmp_path / "other.jsonl")


def test_an_unlabelled_folder_is_everything_but_masks(tmp_path):
    folder = unpacked(tmp_path, {"a.png": photo(1), "sub/b.jpg": photo(2), "masks/a.png": grey(0), "broken.png": b"x", "notes.txt": b"x"})
    found = read_unlabelled(folder)
    assert [item.name for item in found.items] == ["a.png", "sub/b.jpg"] and why(found, "broken.png")
    assert load_segmented(found.save(tmp_path / "i.jsonl")).items == found.items


def test_a_split_is_kept_or_drawn(tmp_path):
    files = {f"images/{k}.png": photo(10 * k) for k in range(10)} | {f"masks/{k}.png": grey(0) for k in range(10)}
    found = read_segmented(unpacked(tmp_path / "set", files))
    drawn = with_split(found, 0.3, seed=1)
    assert (len(drawn.split("train")), len(held_out(drawn))) == (7, 3) and with_split(drawn, 0.5) == drawn
    assert with_split(found, 0.3, seed=1) == drawn != with_split(found, 0.3, seed=2)
    with pytest.raises(ShiftlabError, match="0 would be for testing"):
        with_split(found, 0.01)

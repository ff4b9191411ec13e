"""The Data tab as its visitors walk it: several files of which some are broken, examples, removal, and the pictures in Edit."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.long


def picture(path: Path, colour: str, orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (60, 40), colour).save(path, exif=exif)
    return path


def bomb(path: Path, side: int) -> Path:
    """A PNG whose header promises side × side pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.fixture
def data_page(page: Page) -> Page:
    page.get_by_role("tab", name="Data", exact=True).click()
    expect(page.get_by_text("No images yet")).to_be_visible()
    return page


def report(page: Page) -> Locator:
    return page.locator("#data-report")


def thumbnails(page: Page, name: str) -> Locator:
    return page.locator(f"#data-{name}-gallery .thumbnail-item")


def give(page: Page, name: str, *paths: Path) -> None:
    page.locator(f"#data-{name}-drop input[type=file]").set_input_files([str(path) for path in paths])


def test_broken_files_are_named_and_the_rest_goes_on(data_page: Page, tmp_path: Path) -> None:
    corrupt = tmp_path / "corrupt {{value}} ${1+1}.png"
    corrupt.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    text = tmp_path / "letter.png"
    text.write_text("Dear lab,")
    turned = picture(tmp_path / "turned.jpg", "teal", orientation=6)
    give(data_page, "source", corrupt, bomb(tmp_path / "bomb.png", 10_000), text, turned)
    expect(report(data_page).get_by_text("3 files were left out")).to_be_visible()
    expect(report(data_page)).to_contain_text("10000 × 10000 pixels (100 megapixels), and the limit is 40 megapixels")
    expect(report(data_page)).to_contain_text("damaged")
    expect(report(data_page)).to_contain_text("not an image that can be read here")
    expect(report(data_page)).to_contain_text("40 × 60")
    expect(report(data_page)).to_contain_text("turned upright as its EXIF says")
    expect(report(data_page)).to_contain_text("drawn portrait or no face found")
    expect(thumbnails(data_page, "source")).to_have_count(1)


def test_examples_removal_and_the_way_to_edit(data_page: Page, tmp_path: Path) -> None:
    give(data_page, "source", picture(tmp_path / "red.png", "red"), picture(tmp_path / "blue.png", "blue"))
    expect(thumbnails(data_page, "source")).to_have_count(2)
    thumbnails(data_page, "source").first.click()
    data_page.locator("#data-source-remove").click()
    expect(thumbnails(data_page, "source")).to_have_count(1)
    expect(report(data_page)).not_to_contain_text("red.png")

    data_page.locator("#data-one-shot-examples input").click()
    data_page.get_by_role("option", name="sketch (1)").click()
    expect(thumbnails(data_page, "one-shot")).to_have_count(1)

    data_page.get_by_role("tab", name="Edit", exact=True).click()
    expect(data_page.locator("#edit-examples .thumbnail-item")).to_have_count(9)
    data_page.get_by_role("tab", name="Data", exact=True).click()
    data_page.locator("#data-source-clear").click()
    expect(data_page.locator("#data-source-gallery")).to_be_hidden()
    data_page.get_by_role("tab", name="Edit", exact=True).click()
    expect(data_page.locator("#edit-examples .thumbnail-item")).to_have_count(8)

"""The Edit tab as its visitors walk it: a before and after without pressing anything, sliders, keyboard, prompts, damage, and PNGs.

On tiny random models the pictures are noise; what is looked at is what the page does. An edit is shipped for the sake of the story.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from core.data.edits import save_edit
from core.data.png import read_request
from core.models.base import load_base
from core.types import Edit, EditCard
from tests.browser.conftest import Here

PHOTO, SKETCH = "a photo of a person", "a pencil sketch of a person"


@pytest.fixture(scope="module")
def shipped(checkpoints: Path) -> None:
    """An edit of the tiny base, nudged a little, in checkpoints/edits/."""
    base = load_base(checkpoints / "base", device="cpu")
    state = base.state_dict()
    card = EditCard(
        name="tiny sketch", method="diffusionclip", base_fingerprint=base.fingerprint, reference_prompt=PHOTO, target_prompt=SKETCH,
        settings={"return_step": 301},
    )  # fmt: skip
    nudged = {name: weight * 1.05 if weight.is_floating_point() else weight for name, weight in state.items()}
    save_edit(checkpoints / "edits" / "sketch.safetensors", Edit(card, nudged), state)


@pytest.fixture
def lab_page(shipped: None, page: Page) -> Page:
    """The page after its first full result, which nobody asked for."""
    expect(history(page)).to_have_count(1)
    return page


def history(page: Page) -> Locator:
    return page.locator("#edit-history .thumbnail-item")


def alert(page: Page) -> Locator:
    return page.locator("#edit-message .alert")


def number(page: Page, name: str) -> Locator:
    return page.get_by_label(f"number input for {name}")


def write_target(page: Page, text: str) -> None:
    """Types over the target prompt, key by key: Gradio's `input` event answers keys."""
    page.locator("#edit-target textarea, #edit-target input").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.press("Backspace")
    page.keyboard.type(text)


def clear(page: Page) -> None:
    """Presses the cross of the picture, as a visitor must before dropping another."""
    page.locator("#edit-image").get_by_role("button", name=re.compile("clear|remove", re.IGNORECASE)).first.click()


def give(page: Page, path: Path) -> None:
    """Drops a file where no picture lies."""
    page.locator("#edit-image input[type=file]").set_input_files(path)


def huge_png(path: Path, side: int) -> Path:
    """A black PNG of side × side pixels, compressed to a few hundred kilobytes and never held in memory as pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(side + 1)) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


def test_from_pressing_nothing_to_a_png_that_restores_the_edit(
    lab_page: Page, app: Here, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    """Before and after in every view without pressing anything, a preview that follows the slider, and a download dropped on a new page."""
    expect(lab_page.locator("#edit-slider img")).to_have_count(2)
    expect(lab_page.get_by_label("Edit", exact=True).first).to_have_value("tiny sketch")
    expect(lab_page.get_by_role("meter", name="Identity score")).to_be_visible()
    expect(number(lab_page, "Return step")).to_have_value("301")
    picture = lab_page.locator("#edit-slider img").first.bounding_box()
    assert picture is not None and picture["width"] >= 400, "a small picture is shown as a stamp"
    for view in ("Before", "After", "Difference", "Side by side"):
        lab_page.get_by_role("radio", name=view, exact=True).check()  # no mouse is needed
        expect(lab_page.locator("#edit-picture img")).to_be_visible()
        expect(lab_page.locator("#edit-slider")).to_be_hidden()
    lab_page.get_by_role("radio", name="Slider", exact=True).check()
    expect(lab_page.locator("#edit-slider")).to_be_visible()

    slider = lab_page.get_by_label("range slider for Return step")
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    expect(number(lab_page, "Return step")).to_have_value("401")
    expect(lab_page.locator("#edit-history .caption-label").first).to_contain_text("t 401")
    expect(lab_page.locator("#edit-scores")).to_contain_text("cached")
    with lab_page.expect_download() as download:
        lab_page.get_by_role("button", name="Download PNG").or_(lab_page.get_by_role("link", name="Download PNG")).first.click()
    kept = tmp_path / download.value.suggested_filename
    download.value.save_as(kept)
    record = read_request(kept)
    assert record is not None and record["settings"]["return_step"] == 401

    other = open_page(app.url)
    expect(history(other)).to_have_count(1)
    clear(other)
    give(other, kept)
    expect(number(other, "Return step")).to_have_value("401")
    expect(history(other)).to_have_count(2)


@pytest.mark.long
def test_a_preset_of_prompts_writes_them(lab_page: Page) -> None:
    lab_page.locator("#tab-edit").get_by_label("Prompts", exact=True).click()
    lab_page.get_by_role("option", name="Oil painting", exact=True).click()
    expect(lab_page.locator("#tab-edit").get_by_label("Target prompt")).to_have_value("an oil painting of a person")


@pytest.mark.long
def test_an_empty_prompt_is_a_sentence_and_others_carry_everything_to_tune(lab_page: Page) -> None:
    write_target(lab_page, "")
    lab_page.get_by_role("button", name="Fine-tune for these prompts").click()
    expect(alert(lab_page)).to_contain_text("The target prompt is empty")
    expect(history(lab_page)).to_have_count(1)
    write_target(lab_page, "a bronze statue of a person")
    lab_page.get_by_role("button", name="Fine-tune for these prompts").click()
    expect(lab_page.get_by_role("tab", name="Tune", exact=True)).to_have_attribute("aria-selected", "true")
    expect(lab_page.locator("#tab-tune").get_by_label("Target prompt")).to_have_value("a bronze statue of a person")


@pytest.mark.long
def test_a_damaged_image_and_a_bomb_are_refused_nothing_is_lost_and_a_sound_one_is_edited(lab_page: Page, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + b"broken" * 20)
    clear(lab_page)
    give(lab_page, broken)
    expect(alert(lab_page)).to_contain_text("damaged")
    give(lab_page, huge_png(tmp_path / "bomb.png", 10_000))
    expect(alert(lab_page)).to_contain_text("megapixels")
    lab_page.wait_for_timeout(1500)  # ms, in which a preview without a picture once took the sentence away
    expect(alert(lab_page)).to_contain_text("megapixels")
    expect(history(lab_page)).to_have_count(1)
    expect(lab_page.locator("#edit-slider img")).to_have_count(2)
    Image.new("RGB", (40, 60), "navy").save(tmp_path / "mine.jpg")
    give(lab_page, tmp_path / "mine.jpg")
    expect(history(lab_page)).to_have_count(2)
    expect(lab_page.locator("#edit-caption")).to_contain_text("mine")


@pytest.mark.long
def test_the_history_brings_back_and_compares(lab_page: Page) -> None:
    number(lab_page, "Strength").fill("0.5")
    number(lab_page, "Strength").press("Enter")
    expect(history(lab_page)).to_have_count(2)
    history(lab_page).last.click()
    expect(number(lab_page, "Strength")).to_have_value("1")
    lab_page.get_by_role("radio", name="Compare with the one shown").check()
    history(lab_page).first.click()
    expect(lab_page.locator("#edit-caption")).to_contain_text("Strength 0.5 → 1.0")

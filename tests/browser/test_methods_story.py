"""Several methods, as a visitor meets them: the form follows, strokes are redrawn, and what is missing is one click away."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from core.data.edits import save_edit
from core.models.base import load_base
from core.types import Edit, EditCard

pytestmark = pytest.mark.long

PHOTO, SKETCH = "a photo of a person", "a pencil sketch of a person"


@pytest.fixture
def edit_page(checkpoints: Path, page: Page) -> Page:
    """The page after its first result, with the tiny base itself as an edit."""
    path = checkpoints / "edits" / "sketch.safetensors"
    if not path.exists():
        base = load_base(checkpoints / "base", device="cpu")
        prompts = {"reference_prompt": PHOTO, "target_prompt": SKETCH}
        card = EditCard(name="tiny sketch", method="diffusionclip", base_fingerprint=base.fingerprint, **prompts)
        save_edit(path, Edit(card, base.state_dict()), base.state_dict())
        page.reload(wait_until="domcontentloaded")
    expect(page.locator("#edit-history .thumbnail-item")).to_have_count(1)
    return page


def choose(page: Page, elem_id: str, option: str) -> None:
    page.locator(f"{elem_id} input").click()
    page.get_by_role("option", name=option, exact=True).click()


def newest(page: Page) -> Locator:
    return page.locator("#edit-history .caption-label").first


def test_sdedit_redraws_strokes_without_any_edit(edit_page: Page) -> None:
    choose(edit_page, "#edit-method", "SDEdit")
    expect(newest(edit_page)).to_contain_text("SDEdit · tiny sketch")
    expect(edit_page.locator("#edit-strengths")).to_be_hidden()
    choose(edit_page, "#edit-edit", "None: the loaded base")
    expect(newest(edit_page)).to_contain_text(re.compile(r"SDEdit · t \d+"))
    before = newest(edit_page).inner_text()
    canvas = edit_page.locator("#edit-strokes canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    middle, height = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    edit_page.mouse.move(middle - 40, height)
    edit_page.mouse.down()
    edit_page.mouse.move(middle + 40, height + 30, steps=8)
    edit_page.mouse.up()
    expect(newest(edit_page)).not_to_have_text(before)


def test_what_a_method_lacks_is_one_click_away(edit_page: Page) -> None:
    choose(edit_page, "#edit-method", "EGSDE")
    expect(edit_page.locator("#edit-message")).to_contain_text("EGSDE needs a domain classifier")
    edit_page.get_by_role("button", name="Train a domain classifier").click()
    expect(edit_page.get_by_role("tab", name="Tune", exact=True)).to_have_attribute("aria-selected", "true")
    expect(edit_page.locator("#tune-method input")).to_have_value("EGSDE")
    expect(edit_page.locator("#tune-targets input")).to_have_value("Embedded: pencil sketches")
    expect(edit_page.locator("#tune-egsde-iterations")).to_be_visible()


def test_a_strip_of_strengths_sets_the_slider(edit_page: Page) -> None:
    edit_page.locator("#edit-strengths").click()
    strip = edit_page.locator("#edit-strip .thumbnail-item")
    expect(strip).to_have_count(7)
    strip.nth(3).click()
    expect(edit_page.get_by_label("number input for Strength")).to_have_value("0.5")
    expect(newest(edit_page)).to_contain_text("× 0.5")

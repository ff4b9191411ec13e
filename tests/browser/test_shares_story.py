"""Shares without labels as a visitor sees them: counted in a ZIP that nobody labelled, told with a warning, and rebalanced to."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_adapt_story import open_tab, zipped

pytestmark = pytest.mark.long


def test_from_pictures_without_labels_to_a_rebalanced_set(page: Page, tmp_path: Path) -> None:
    open_tab(page)
    page.locator("#adapt-drop input[type=file]").set_input_files(str(zipped(tmp_path / "in", 12)))
    expect(page.locator("#adapt-set-told")).to_contain_text("24 pictures")
    page.get_by_role("button", name="Shares without labels").click()
    page.locator("#adapt-shares-start").click()
    expect(page.locator("#adapt-message .alert")).to_contain_text("no target pictures")
    page.locator("#adapt-shares-drop input[type=file]").set_input_files(str(zipped(tmp_path / "target", 6, seed=1)))
    expect(page.locator("#adapt-shares-reading")).to_contain_text("12 pictures")
    page.locator("#adapt-shares-start").click()
    expect(page.locator("#adapt-shares-told")).to_contain_text("made of")
    expect(page.locator("#adapt-shares-told .share-bar")).to_have_count(2)
    expect(page.locator("#adapt-shares-told .alert").first).to_contain_text("source pictures only")

    page.locator("#adapt-rebalance").click()
    expect(page.locator("#adapt-set-told")).to_contain_text("Rebalanced (resample, seed 0) to class")
    expect(page.locator("#adapt-shares-told")).to_be_hidden()
    page.reload(wait_until="domcontentloaded")
    open_tab(page)
    expect(page.locator("#adapt-set-told")).to_contain_text("Rebalanced (resample, seed 0) to class")

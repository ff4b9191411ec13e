"""The One-shot tab as its visitor walks it: one picture is learned, drawn over two classes, and a segmenter adapts to what was drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from core.data.segmented_write import write_segmented_zip
from tests.adaptation.segment_helpers import CLASSES, QUICK, scenes, write_backbone
from tests.browser.conftest import Here
from tests.tiny_text_to_image import write_text_to_image

pytestmark = pytest.mark.long


def stage(page: Page, step: str) -> Locator:
    return page.locator(f"#oneshot-rail [data-step={step}]")


def open_tab(page: Page) -> None:
    page.get_by_role("tab", name="One-shot", exact=True).click()


def fill(page: Page, id: str, value: str) -> None:
    """A box, or a slider's box, by the id of its component."""
    box = page.locator(f"#{id} input:not([type=range]), #{id} textarea").first
    box.fill(value)
    box.press("Tab")


def test_from_one_image_to_a_segmenter(app: Here, page: Page, tmp_path: Path) -> None:
    write_text_to_image(app.checkpoints / "streets")
    open_tab(page)
    page.locator("#oneshot-examples [data-example='night 1']").click()
    expect(page.locator("#oneshot-image")).to_contain_text("256 × 128 pixels")
    page.locator("#oneshot-to-personalise").click()
    fill(page, "oneshot-token", "night")
    expect(page.locator("#oneshot-token-said")).to_contain_text("common word")
    for name, value in {"token": "ohwx", "steps": "4", "checkpoint-every": "2", "short-side": "24", "batch-size": "1"}.items():
        fill(page, f"oneshot-{name}", value)
    page.locator("#oneshot-preset").locator("xpath=ancestor::div[contains(@class, 'controls')]").get_by_text("More settings").click()
    fill(page, "oneshot-sample-steps", "2")
    page.locator("#oneshot-start").click()
    expect(stage(page, "personalise")).to_contain_text("step 4 is used")
    expect(page.locator("#oneshot-samples img").first).to_be_visible()

    page.reload(wait_until="domcontentloaded")
    open_tab(page)
    expect(stage(page, "personalise")).to_contain_text("step 4 is used")
    generate(page)
    segment(page, tmp_path)


def generate(page: Page) -> None:
    """Step 3, with the pictures of the first class alone."""
    stage(page, "generate").click()
    fill(page, "oneshot-generate-steps", "2")
    page.locator("#oneshot-classes").get_by_label("Paper").check()
    expect(page.locator("#oneshot-counted")).to_contain_text("200 pictures of 10 classes")
    fill(page, "oneshot-each", "2")
    expect(page.locator("#oneshot-counted")).to_contain_text("20 pictures of 10 classes")
    page.locator("#oneshot-generate").click()
    expect(stage(page, "generate")).to_contain_text("20 pictures")
    expect(page.locator("#oneshot-gallery figure")).to_have_count(20)
    expect(page.locator("#oneshot-likeness")).to_contain_text("variety")
    with page.expect_download() as download:
        page.locator("#oneshot-export").click()
    assert download.value.suggested_filename.endswith(".zip")


def segment(page: Page, tmp_path: Path) -> None:
    """Step 4, on small scenes."""
    page.locator("#oneshot-to-segment").click()
    page.locator("#oneshot-segment").click()
    expect(page.locator("#oneshot-message .alert")).to_contain_text("no source set yet")
    for which, shade in (("source", 1.0), ("target", 0.4)):
        found = [*scenes(6, 0, shade), *scenes(4, 1, shade, "test")]
        path = write_segmented_zip(tmp_path / f"{which}.zip", found, CLASSES)
        page.locator(f"#oneshot-{which}-drop input[type=file]").set_input_files(str(path))
        expect(page.locator("#oneshot-sets")).to_contain_text(f"{which.capitalize()}: {which}")
    quick = {**QUICK, "model": str(write_backbone(tmp_path / "mit"))}
    for name in ("model", "height", "crop", "iterations", "adapt_iterations", "measure_every"):
        fill(page, f"oneshot-segment-{name.replace('_', '-')}", str(quick[name]))
    page.locator("#oneshot-segment").locator("xpath=ancestor::div[contains(@class, 'controls')]").get_by_role(
        "button", name="Carried scenes"
    ).click()
    fill(page, "oneshot-carry-scenes", "4")
    fill(page, "oneshot-carry-steps", "2")
    page.locator("#oneshot-segment").click()
    expect(stage(page, "segment")).to_contain_text("mIoU on target")
    expect(page.locator("#oneshot-curves .js-plotly-plot")).to_be_visible()
    expect(page.locator("#oneshot-looks .over")).to_have_count(4 * 5)  # scenes, by the truth and four segmenters
    expect(page.locator("#oneshot-carried img")).to_have_count(4)
    page.get_by_label("opacity of the classes").fill("100")
    assert page.locator(".looks").evaluate("looks => looks.style.getPropertyValue('--opacity')") == "1"
    with page.expect_download() as download:
        page.locator("#oneshot-report-html").click()
    assert "base64" in Path(download.value.path()).read_text(encoding="utf-8")

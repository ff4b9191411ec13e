"""The Adapt tab as its visitor walks it: a ZIP comes in, a report goes out, and a reload in the middle loses nothing."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.adaptation.helpers import write_set

pytestmark = pytest.mark.long


def zipped(folder: Path, count: int, seed: int = 0) -> Path:
    files = sorted(write_set(folder, count, seed=seed).rglob("*.png"))
    with zipfile.ZipFile(folder / "faces.zip", "w") as file:
        for path in files:
            file.write(path, path.relative_to(folder).as_posix())
    return folder / "faces.zip"


def open_tab(page: Page) -> None:
    page.get_by_role("tab", name="Adapt", exact=True).click()


def stage(page: Page, step: str) -> Locator:
    return page.locator(f"#adapt-rail [data-step={step}]")


def choose(page: Page, id: str, name: str) -> None:
    page.locator(f"#{id} input").click()
    page.get_by_role("option", name=name, exact=True).click()


def fill(page: Page, label: str, value: str) -> None:
    box = page.get_by_label(f"number input for {label}").locator("visible=true")
    box.fill(value)
    box.press("Tab")


def test_from_a_zip_to_a_report(page: Page, tmp_path: Path) -> None:
    open_tab(page)
    expect(page.locator("#adapt-set-told")).to_contain_text("No labelled set yet")
    stage(page, "adapt").click()
    page.locator("#adapt-start").click()
    expect(page.locator("#adapt-message .alert")).to_contain_text("Choose one in step 1")
    stage(page, "set").click()
    (tmp_path / "no.zip").write_bytes(b"no ZIP")
    page.locator("#adapt-drop input[type=file]").set_input_files(str(tmp_path / "no.zip"))
    expect(page.locator("#adapt-set-told .message.bad")).to_contain_text("ZIP")
    page.locator("#adapt-drop input[type=file]").set_input_files(str(zipped(tmp_path / "in", 6)))
    expect(page.locator("#adapt-set-told")).to_contain_text("12 pictures")
    page.locator("#adapt-target-drop input[type=file]").set_input_files(str(zipped(tmp_path / "target", 6, seed=1)))
    expect(page.locator("#adapt-target-told")).to_contain_text("12 pictures")

    page.locator("#adapt-to-edit").click()
    choose(page, "adapt-method", "SDEdit")
    expect(stage(page, "edit")).to_contain_text("no edit")
    page.locator("#adapt-to-run").click()
    page.locator("#adapt-start").click()
    expect(stage(page, "adapt")).to_contain_text("12 pictures")
    expect(page.locator("#adapt-pairs .pair")).to_have_count(12)

    page.reload(wait_until="domcontentloaded")
    open_tab(page)
    expect(stage(page, "adapt")).to_contain_text("12 pictures")
    stage(page, "adapt").click()
    expect(page.locator("#adapt-pairs .pair")).to_have_count(12)
    page.locator("#adapt-audit").click()
    page.locator("#adapt-pairs button.pair").first.click()
    expect(page.locator("#adapt-audit-said")).to_contain_text("by hand")
    compare_and_report(page, tmp_path)


def compare_and_report(page: Page, tmp_path: Path) -> None:
    """Steps 4 and 5; without the drawn target's train split there would be no oracle."""
    page.locator("#adapt-to-classifier").click()
    fill(page, "Epochs", "2")
    fill(page, "Seeds", "1")
    for arm in ("adapted", "target (oracle)"):
        page.locator("#adapt-arms").get_by_label(arm, exact=True).check()
    for arm in ("source and adapted", "adapted, audited"):
        page.locator("#adapt-arms").get_by_label(arm, exact=True).uncheck()
    page.locator("#adapt-classify").click()
    expect(stage(page, "classifier")).to_contain_text(re.compile(r"on target \d+\.\d → \d+\.\d %"))
    expect(page.locator("#adapt-plot .js-plotly-plot")).to_be_visible()
    expect(page.locator("#adapt-tables")).to_contain_text("target (oracle)")
    expect(page.locator("#adapt-published")).to_contain_text("59.3 → 87.0")

    page.locator("#adapt-to-report").click()
    expect(page.locator("#adapt-report")).to_contain_text("On true target pictures")
    with page.expect_download() as download:
        page.locator("#adapt-report-html").click()
    download.value.save_as(tmp_path / "report.html")
    assert "data:image/png;base64" in (tmp_path / "report.html").read_text(encoding="utf-8")

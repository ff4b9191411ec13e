"""A base tuned by SDFT becomes the base in one click: Asyrp's curve is measured on it, DDIB leads back, the first base is loaded again."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.long


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def choose(page: Page, elem_id: str, option: str) -> None:
    page.locator(f"{elem_id} input").click()
    page.get_by_role("option", name=option, exact=True).click()


def fill(page: Page, elem_id: str, value: str) -> None:
    box = page.locator(f"{elem_id} input[type=number]").first
    box.fill(value)
    box.press("Tab")


def tune_a_base(page: Page) -> None:
    open_tab(page, "Tune")
    choose(page, "#tune-method", "SDFT")
    expect(page.locator("#tune-sdft-steps")).to_be_visible()
    page.locator("#tune-name textarea, #tune-name input").first.fill("tuned sketches")
    for name, value in {"steps": "2", "images": "2", "batch-size": "2"}.items():
        fill(page, f"#tune-sdft-{name}", value)
    page.locator("#tune-start").click()
    expect(page.locator("#tune-progress .pill")).to_have_text("done")
    expect(page.locator("#tune-samples")).to_contain_text("Free samples as it learns")


def test_a_tuned_base_is_used_measured_and_left_again(page: Page) -> None:
    tune_a_base(page)
    page.locator("#tune-as-base").click()
    expect(page.locator("#tune-message")).to_contain_text("Base is now “tuned-sketches”")
    expect(page.locator("#status-line")).to_contain_text("tuned-sketches")

    choose(page, "#tune-method", "Asyrp")
    page.locator("#tune-curve-measure").click()
    expect(page.locator("#tune-curve-said")).to_contain_text(re.compile(r"t_edit \d+"))
    expect(page.locator("#tune-curve-plot .js-plotly-plot")).to_be_visible()
    page.locator("#tune-curve-take").click()
    page.locator("#tab-tune .method-form:visible").get_by_text("More settings").click()
    expect(page.locator("#tune-asyrp-t-edit input")).to_have_value(re.compile(r"\d+"))

    open_tab(page, "Edit")
    choose(page, "#edit-method", "DDIB")
    choose(page, "#edit-edit", "tiny base (yours)")
    expect(page.locator("#edit-history .caption-label").first).to_contain_text("DDIB · tiny base")

    open_tab(page, "Models")
    page.locator('#models-list [data-do="use"][data-kind="base"][data-name="embedded"]').click()
    expect(page.locator("#status-line")).to_contain_text("tiny base")

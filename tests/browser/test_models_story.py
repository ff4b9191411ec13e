"""The Models tab as a visitor walks it: look into files, refuse one, import one, work with it, and hear what no longer fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page, expect

from core.data.edits import save_edit
from core.models.base import load_base
from core.types import Edit, EditCard
from tests.browser.conftest import App, process_of
from tests.tiny import write_base, write_models

pytestmark = pytest.mark.long

PHOTO, SKETCH = "a photo of a person", "a pencil sketch of a person"


@pytest.fixture(scope="module")
def own_app(tmp_path_factory: pytest.TempPathFactory):
    """A server of its own, for the base is switched: tiny models and one shipped edit."""
    checkpoints = write_models(tmp_path_factory.mktemp("models") / "checkpoints")
    base = load_base(checkpoints / "base")
    card = EditCard(
        name="tiny sketch", method="diffusionclip", base_fingerprint=base.fingerprint, reference_prompt=PHOTO, target_prompt=SKETCH
    )
    weights = {name: weight * 1.05 for name, weight in base.state_dict().items()}
    save_edit(checkpoints / "edits" / "sketch.safetensors", Edit(card, weights), base.state_dict())
    with process_of(tmp_path_factory.mktemp("home"), checkpoints) as app:
        yield app


def inspect(page: Page, path: Path) -> None:
    page.get_by_label("Path").fill(str(path))
    page.get_by_role("button", name="Inspect", exact=True).click()


def test_a_base_is_brought_and_the_edit_that_no_longer_fits_is_named(own_app: App, open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page(own_app.url)
    page.get_by_role("tab", name="Models", exact=True).click()
    expect(page.locator(".model-kind")).to_contain_text(["Base", "CLIP", "Identity", "Text to image"])
    torch.save({"text_model.embedding": torch.zeros(1)}, tmp_path / "other.pt")
    inspect(page, tmp_path / "other.pt")
    expect(page.locator("#models-found .alert")).to_contain_text("a text encoder")

    inspect(page, write_base(tmp_path / "faces", seed=1))
    expect(page.locator("#models-found .found")).to_contain_text("diffusers UNet2DModel")
    page.get_by_label("Name", exact=True).fill("faces")
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_role("button", name="Use: faces").click()
    expect(page.locator("#models-message .alert")).to_contain_text("“tiny sketch” belongs to the base before")
    expect(page.locator("#status-line")).to_contain_text("faces")

    page.get_by_role("tab", name="Edit", exact=True).click()
    expect(page.locator("#edit-message .alert")).to_contain_text("belongs to the base")
    expect(page.get_by_label("Target prompt").first).to_have_value(SKETCH)
    assert not own_app.attempts


def test_a_download_without_a_connection_says_so(own_app: App, open_page: Callable[..., Page]) -> None:
    page = open_page(own_app.url)
    page.get_by_role("tab", name="Models", exact=True).click()
    page.get_by_role("button", name="Download: DDPM, CelebA-HQ faces").dblclick()
    sure = page.get_by_role("button", name="Download 455 MB from google/ddpm-ema-celebahq-256")
    expect(sure).to_be_visible()
    page.wait_for_timeout(2000)  # two rounds of polling: a download that the second click began would show by now
    expect(page.locator(".model-said, .job-bar")).to_have_count(0)
    sure.click()
    expect(page.locator(".model-said.bad")).to_contain_text("cannot be fetched")


def test_a_double_click_on_remove_removes_nothing(own_app: App, open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page(own_app.url)
    page.get_by_role("tab", name="Models", exact=True).click()
    inspect(page, write_base(tmp_path / "spare", seed=2))
    page.get_by_label("Name", exact=True).fill("spare")
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_role("button", name="Remove: spare").dblclick()
    expect(page.get_by_role("button", name="Remove for good: spare")).to_be_visible()
    page.get_by_role("button", name="Keep it: spare").click()
    page.get_by_role("button", name="Inspect: spare").click()
    expect(page.locator("#models-found .found")).to_contain_text("diffusers UNet2DModel")
    page.get_by_text("a file in its family's own layout").click()
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.locator("#models-message .alert")).to_contain_text("neither the DDPM nor the guided-diffusion family")


def test_nothing_is_wider_than_a_phone(own_app: App, open_page: Callable[..., Page]) -> None:
    page = open_page(own_app.url, viewport={"width": 390, "height": 844}, color_scheme="dark")
    page.get_by_role("tab", name="Models", exact=True).click()
    page.get_by_role("button", name="Download: DDPM, LSUN bedrooms").click()
    sure = page.get_by_role("button", name="Download 455 MB from google/ddpm-ema-bedroom-256")
    expect(sure).to_be_visible()
    box = sure.bounding_box()
    assert box is not None and box["x"] + box["width"] <= 390
    page.get_by_role("button", name="Not now: DDPM, LSUN bedrooms").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

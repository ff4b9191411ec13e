"""The Tune and Runs tabs as their visitors walk them: launch, watch, reload, cancel, resume, use the result, and find it all again."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import App, process_of

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def app(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A process of its own, for it is killed."""
    with process_of(tmp_path_factory.mktemp("home"), checkpoints) as app:
        yield app


@pytest.fixture
def tune(page: Page) -> Page:
    """The tab after its first estimate: by then the page has loaded, and nothing that is written into the form is written over."""
    open_tab(page, "Tune")
    expect(page.locator("#tune-estimate")).to_contain_text(re.compile(r"About \d+ (s|min|h).*(MB|GB)"))
    return page


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def state(page: Page) -> Locator:
    return page.locator("#tune-progress .pill")


def fill(page: Page, label: str, value: str) -> None:
    box = page.locator("#tab-tune").get_by_label(f"number input for {label}")
    box.fill(value)
    box.press("Tab")


def start(page: Page, name: str, images: int, epochs: int) -> None:
    page.locator("#tune-name textarea, #tune-name input").first.fill(name)
    fill(page, "Training images", str(images))
    fill(page, "Epochs", str(epochs))
    page.locator("#tune-start").click()
    expect(page.locator("#tune-progress")).to_contain_text(name)


def step(page: Page) -> int:
    found = re.search(r"step (\d+) of", page.locator("#tune-progress").inner_text())
    return int(found.group(1)) if found else 0


def test_an_empty_source_set_and_an_empty_prompt_are_sentences(tune: Page) -> None:
    tune.locator("#tune-images").get_by_text("Source set (0)").click()
    tune.locator("#tune-start").click()
    expect(tune.locator("#tune-message .alert")).to_contain_text("The source set is empty")
    tune.locator("#tune-diffusionclip-target-prompt textarea, #tune-diffusionclip-target-prompt input").first.fill("")
    tune.locator("#tune-start").click()
    expect(tune.locator("#tune-message .alert")).to_contain_text("The target prompt is empty")


def test_a_run_survives_a_reload_and_a_killed_server_is_cancelled_and_resumed(tune: Page, app: App) -> None:
    start(tune, "long run", 8, 100)
    expect(state(tune)).to_have_text("running")
    expect(tune.locator("#tune-plot .js-plotly-plot")).to_be_visible()
    tune.reload(wait_until="domcontentloaded")
    open_tab(tune, "Tune")
    expect(tune.locator("#tune-progress")).to_contain_text("long run")
    expect(state(tune)).to_have_text("running")
    tune.locator("#tune-cancel").click()
    expect(state(tune)).to_have_text("cancelled")
    before = step(tune)
    tune.locator("#tune-resume").click()
    expect(state(tune)).to_have_text("running")
    expect(tune.locator("#tune-progress")).to_contain_text(re.compile(r"step \d+ of 200"))
    tune.locator("#tune-save").click()

    tune.goto("about:blank")
    app.kill()
    app.start()
    tune.goto(app.url, wait_until="domcontentloaded")
    open_tab(tune, "Tune")
    expect(state(tune)).to_have_text("interrupted")
    assert step(tune) >= before
    tune.locator("#tune-resume").click()
    expect(state(tune)).to_have_text("running")
    tune.locator("#tune-cancel").click()
    expect(state(tune)).to_have_text("cancelled")


def test_the_result_is_used_found_again_exported_and_deleted(tune: Page, tmp_path: Path) -> None:
    start(tune, "short run", 1, 1)
    expect(state(tune)).to_have_text("done")
    expect(tune.locator("#tune-samples img").first).to_be_visible()
    tune.locator("#tune-try").click()
    expect(tune.get_by_role("tab", name="Edit", exact=True)).to_have_attribute("aria-selected", "true")
    expect(tune.locator("#edit-edit input")).to_have_value(re.compile("short run"))

    open_tab(tune, "Runs")
    tune.locator("#runs-find textarea, #runs-find input").first.fill("short run")
    expect(tune.locator("#runs-list .run")).to_have_text([re.compile("short run")])  # one entry, and not another that stood there before
    tune.locator("#runs-list .run").click()
    expect(tune.locator("#runs-detail .pill")).to_have_text("done")
    with tune.expect_download() as download:
        tune.locator("#runs-export").click()
    download.value.save_as(tmp_path / "run.zip")
    with zipfile.ZipFile(tmp_path / "run.zip") as file:
        assert {"run.json", "stats.csv", "card.json", "log.txt"} <= set(file.namelist())

    tune.locator("#runs-delete").click()
    tune.locator("#runs-keep").click()
    expect(tune.locator("#runs-sure")).to_be_hidden()
    tune.locator("#runs-delete").click()
    tune.locator("#runs-sure").click()
    expect(tune.locator("#runs-list")).to_contain_text(re.compile("No run matches|Nothing has run"))

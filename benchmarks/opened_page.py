"""The page of a lab that runs, opened in Chromium, as the benchmarks of the page begin with it."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

PATIENCE_S = 120.0
HISTORY = "#edit-history .thumbnail-item"  # gets an entry once a full picture is there


def address(description: str | None) -> str:
    """The lab's address, from the command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", nargs="?", default="http://127.0.0.1:7860", help="of the lab that runs")
    return parser.parse_args().address


@contextmanager
def blank_page() -> Iterator[Page]:
    """An empty page at desktop width."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium") or None, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1440, "height": 900})
        browser.close()


def open_lab(page: Page, address: str) -> None:
    """Goes there and waits for the first full result, which nobody asks for."""
    page.goto(address)
    page.wait_for_selector(HISTORY, timeout=1000 * PATIENCE_S)

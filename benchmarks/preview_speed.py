"""Seconds from a moved return step to the first, coarse picture and to the full one, in a real browser on a lab that runs.

    make run                                                      # in another terminal
    python -m benchmarks.preview_speed http://127.0.0.1:7860      # needs requirements-dev.txt

The slider moves by one notch at a time on the example that the page opens with, whose trajectory is stored by then.
"""

from __future__ import annotations

import argparse
import shutil
import time
from statistics import median

from playwright.sync_api import Page, sync_playwright

MOVES, PATIENCE_S, LOOK_EVERY_MS = 5, 120.0, 20
PICTURES = "() => [...document.querySelectorAll('[id*=edit] img')].map(image => image.src).join(' ')"
HISTORY = "#edit-history .thumbnail-item"  # gets an entry once the full picture is there


def moved(page: Page) -> tuple[float, float]:
    """One notch to the left: (seconds to the first new picture, seconds to the full one)."""
    slider, entries, pictures = page.get_by_label("range slider for Return step"), page.locator(HISTORY).count(), page.evaluate(PICTURES)
    slider.focus()
    slider.press("ArrowLeft")
    began, first = time.perf_counter(), None
    while page.locator(HISTORY).count() == entries:
        waited = time.perf_counter() - began
        if waited > PATIENCE_S:
            raise TimeoutError(f"No full picture after {PATIENCE_S:.0f} s. Is Live ticked, and does the lab still run?")
        if first is None and page.evaluate(PICTURES) != pictures:
            first = waited
        page.wait_for_timeout(LOOK_EVERY_MS)  # looking without a pause takes the browser a core
    full = time.perf_counter() - began
    return full if first is None else first, full


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", nargs="?", default="http://127.0.0.1:7860", help="of the lab that runs")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium") or None, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        began = time.perf_counter()
        page.goto(options.address)
        page.wait_for_selector(HISTORY, timeout=1000 * PATIENCE_S)
        print(f"from the address to the first full result: {time.perf_counter() - began:.2f} s")
        page.wait_for_timeout(2000)  # what the page still does after its first result is not the slider's
        times = [moved(page) for _ in range(MOVES)]
        for name, values in zip(("first picture", "full picture"), zip(*times, strict=True), strict=True):
            print(f"{name}: {median(values):.2f} s (median of {MOVES}; {min(values):.2f} to {max(values):.2f})")
        browser.close()


if __name__ == "__main__":
    main()

"""Seconds from a moved return step to the first, coarse picture and to the full one, in a real browser on a lab that runs.

    make run                                                      # in another terminal
    python -m benchmarks.preview_speed http://127.0.0.1:7860      # needs requirements-dev.txt

The slider moves by one notch at a time on the example that the page opens with, whose trajectory is stored by then.
"""

from __future__ import annotations

import time
from statistics import median

from playwright.sync_api import Page

from benchmarks.opened_page import HISTORY, PATIENCE_S, address, blank_page, open_lab

MOVES, LOOK_EVERY_MS = 5, 20
PICTURES = "() => [...document.querySelectorAll('[id*=edit] img')].map(image => image.src).join(' ')"


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
    lab = address(__doc__)
    with blank_page() as page:
        began = time.perf_counter()
        open_lab(page, lab)
        print(f"from the address to the first full result: {time.perf_counter() - began:.2f} s")
        page.wait_for_timeout(2000)  # what the page still does after its first result is not the slider's
        times = [moved(page) for _ in range(MOVES)]
        for name, values in zip(("first picture", "full picture"), zip(*times, strict=True), strict=True):
            print(f"{name}: {median(values):.2f} s (median of {MOVES}; {min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()

"""How busy the browser is with a page that nobody touches, tab by tab: seconds of its main thread a second.

    make run                                                     # in another terminal
    python -m benchmarks.page_at_rest http://127.0.0.1:7860      # needs requirements-dev.txt

The tabs are looked at after the first result has been shown; "opening" is what selecting a tab costs until it rests.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable

from playwright.sync_api import CDPSession, Page, sync_playwright

TABS = ("Edit", "Data", "Tune", "Adapt", "One-shot", "Models", "Runs")
FIRST_RESULT = "#edit-history .thumbnail-item"
PATIENCE_S, OPENING_S, RESTING_S = 120, 8, 10


def busy(session: CDPSession) -> float:
    """Seconds that the page's main thread has worked so far."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


def spent(page: Page, session: CDPSession, seconds: float, act: Callable[[], None] = lambda: None) -> float:
    """What `act` and so many seconds of waiting cost the main thread, in seconds."""
    before = busy(session)
    act()
    page.wait_for_timeout(1000 * seconds)
    return busy(session) - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", nargs="?", default="http://127.0.0.1:7860", help="of the lab that runs")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium") or None, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        page.goto(options.address)
        page.wait_for_selector(FIRST_RESULT, timeout=1000 * PATIENCE_S)
        for name in TABS:
            opening = spent(page, session, OPENING_S, page.get_by_role("tab", name=name, exact=True).click)
            print(f"{name}: opening {opening:.2f} s, at rest {spent(page, session, RESTING_S) / RESTING_S:.2f} s a second", flush=True)
        browser.close()


if __name__ == "__main__":
    main()

"""How busy the browser is with a page that nobody touches, tab by tab: seconds of its main thread a second.

    make run                                                     # in another terminal
    python -m benchmarks.page_at_rest http://127.0.0.1:7860      # needs requirements-dev.txt

The tabs are looked at after the first result has been shown; "opening" is what selecting a tab costs until it rests.
"""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import CDPSession, Page

from benchmarks.opened_page import address, blank_page, open_lab

TABS = ("Edit", "Data", "Tune", "Adapt", "One-shot", "Models", "Runs")
OPENING_S, RESTING_S = 8, 10


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
    lab = address(__doc__)
    with blank_page() as page:
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        open_lab(page, lab)
        for name in TABS:
            opening = spent(page, session, OPENING_S, page.get_by_role("tab", name=name, exact=True).click)
            print(f"{name}: opening {opening:.2f} s, at rest {spent(page, session, RESTING_S) / RESTING_S:.2f} s a second", flush=True)


if __name__ == "__main__":
    main()

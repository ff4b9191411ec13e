"""A page asks for news of the tab that is shown, and of no other, however often it was looked at."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, Request, expect

pytestmark = pytest.mark.long

SETTLED_MS, STRIKES = 1000, 4  # of the line at the top, once a second; the slowest clock of a tab takes two
TABS = ("Data", "Tune", "Adapt", "One-shot", "Models", "Runs")


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    expect(page.locator(f"#tab-{name.lower().replace('-', '')}")).to_be_visible()


def called(request: Request) -> int | None:
    """The function that a request calls."""
    return json.loads(request.post_data)["fn_index"] if request.method == "POST" and request.post_data else None


def clocks(page: Page) -> set[int]:
    """The functions that clocks call: the first is the line's at the top."""
    return set(page.evaluate("gradio_config.dependencies.filter(f => f.targets.some(t => t[1] === 'tick')).map(f => f.id)"))


def wait_for_clock(page: Page) -> int:
    """Until the clock of a tab strikes."""
    of_tabs = clocks(page) - {min(clocks(page))}
    with page.expect_request(lambda request: called(request) in of_tabs) as heard:
        pass
    return called(heard.value)


def heard(page: Page) -> set[int]:
    """The functions of clocks that are called while the line at the top asks a few times."""
    calls: set[int | None] = set()
    status = min(clocks(page))

    def note(request: Request) -> None:
        calls.add(called(request))

    page.wait_for_timeout(SETTLED_MS)
    page.on("request", note)
    for _ in range(STRIKES):
        with page.expect_request(lambda request: called(request) == status):
            pass
    page.remove_listener("request", note)
    return calls & clocks(page)


def test_only_the_tab_that_is_shown_asks(page: Page) -> None:
    expect(page.locator("#edit-examples .thumbnail-item").first).to_be_visible()
    for name in TABS:
        open_tab(page, name)
    wait_for_clock(page)  # it may be that of a tab before: on a slow machine it strikes once more while the last one opens
    assert len(heard(page) - {min(clocks(page))}) <= 1, "the last tab asks beside the line at the top, and no other"
    open_tab(page, "Edit")
    assert heard(page) == {min(clocks(page))}, "Edit has no clock, and tabs that are hidden again are silent"


def test_a_tab_that_the_page_itself_opens_asks_as_well(page: Page) -> None:
    expect(page.locator("#edit-examples .thumbnail-item").first).to_be_visible()
    page.locator("#edit-target textarea, #edit-target input").first.fill("a bronze statue of a person")
    page.get_by_role("button", name="Fine-tune for these prompts").click()
    expect(page.get_by_role("tab", name="Tune", exact=True)).to_have_attribute("aria-selected", "true")
    wait_for_clock(page)

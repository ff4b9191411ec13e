"""The lab opens: on a desk and on a phone, in light and in dark, with every tab, asking nobody else for anything."""

from __future__ import annotations

import urllib.request

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.long

STICKY = {"Edit": "#edit-go", "Tune": "#tune-start"}  # buttons that stay in reach however long the form is
TABS = ("Data", "Edit", "Tune", "Adapt", "One-shot", "Models", "Runs")
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


@pytest.mark.parametrize(("viewport", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"])
def test_every_tab_opens_and_none_is_wider_than_the_screen(app, open_page, viewport, scheme):
    page = open_page(app.url, viewport=viewport, color_scheme=scheme)
    for name in TABS:
        tab = page.get_by_role("tab", name=name, exact=True)
        place = tab.bounding_box()
        assert place is not None and place["x"] >= 0 and place["x"] + place["width"] <= viewport["width"], f"{name} cannot be seen"
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")
        expect(page.locator(f"#tab-{name.lower().replace('-', '')}")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], f"{name} is wider than the screen"
        if name in STICKY:
            expect(page.locator(STICKY[name])).to_be_in_viewport(ratio=1)


def test_the_server_forbids_the_browser_to_ask_others(app):
    with urllib.request.urlopen(app.url) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy

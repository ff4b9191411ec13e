"""The lab opens: on a desk and on a phone, in light and in dark, with every tab, asking nobody else for anything."""

from __future__ import annotations

import urllib.request

import pytest
from playwright.sync_api import expect

TABS = ("Data", "Edit", "Tune", "Models", "Runs")
SCREENS = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


def test_every_tab_opens(page):
    for name in TABS:
        tab = page.get_by_role("tab", name=name, exact=True)
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_is_wider_than_the_screen(app, open_page, screen, scheme):
    page = open_page(app.url, viewport=SCREENS[screen], color_scheme=scheme)
    expect(page.get_by_role("button", name="Edit", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= SCREENS[screen]["width"]


def test_a_killed_server_opens_again_on_the_same_address(start_app, open_page):
    app = start_app()
    app.kill()
    app.start()
    open_page(app.url)
    assert not app.attempts


def test_the_server_forbids_the_browser_to_ask_others(app):
    with urllib.request.urlopen(app.url) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy

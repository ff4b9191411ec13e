"""What a page was told, and what is told twice because an older answer may reach the page after it."""

from __future__ import annotations

import pytest

from ui import told


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(told.time, "monotonic", lambda: now[0])
    return now


def test_only_what_changed_is_told(clock):
    page = told.Told()
    assert page.new("set", "reading") and not page.new("set", "reading")
    clock[0] += 2 * told.IN_FLIGHT
    assert not page.new("set", "reading") and page.new("set", "read")
    clock[0] += 2 * told.IN_FLIGHT
    assert not page.new("set", "read")


def test_what_overtakes_an_answer_is_told_once_more(clock):
    page = told.Told()
    assert page.new("set", "reading") and page.new("set", "read")
    assert not page.new("set", "read")
    clock[0] += told.IN_FLIGHT
    assert page.new("set", "read") and not page.new("set", "read")


def test_what_an_older_answer_painted_over_is_told_again(clock):
    page = told.Told()
    page.shows("job", "")
    assert page.new("job", "cancelled")
    clock[0] += 2 * told.IN_FLIGHT
    page.shows("job", "cancelled")
    assert not page.new("job", "cancelled")
    page.shows("job", "running")  # long on its way
    assert page.new("job", "cancelled")

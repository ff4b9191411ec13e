"""How a browser is found and brought, without installing one."""

from __future__ import annotations

import pytest

from tests.browser import get_browser as browsers


def write_program(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_stub_that_does_not_start_is_no_browser(tmp_path):
    assert not browsers.works(write_program(tmp_path / "stub", "#!/bin/sh\nexit 1\n"))
    assert not browsers.works(tmp_path / "absent")
    assert browsers.works(write_program(tmp_path / "real", "#!/bin/sh\necho Chromium 1\n"))


def test_one_on_the_path_is_used_as_it_is(tmp_path, monkeypatch):
    real = write_program(tmp_path / "chromium-browser", "#!/bin/sh\necho Chromium 1\n")
    write_program(tmp_path / "chromium", "#!/bin/sh\nexit 1\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert next(path for path in browsers.on_path() if browsers.works(path)) == real


def test_installers_are_tried_in_order_until_one_brings_a_browser(tmp_path, monkeypatch):
    calls = []
    brought = tmp_path / "chromium"
    monkeypatch.setattr(browsers, "find_browser", lambda: brought if "second" in calls else None)
    installers = tuple(lambda name=name: calls.append(name) for name in ("first", "second", "third"))
    assert browsers.get_browser(installers) == brought
    assert calls == ["first", "second"]


def test_no_browser_is_a_failure_with_a_sentence(monkeypatch):
    monkeypatch.setattr(browsers, "find_browser", lambda: None)
    with pytest.raises(SystemExit, match="Install Chromium"):
        browsers.get_browser(installers=(lambda: None,))

"""Finds a Chromium that runs, or brings one: what is on the PATH, else Playwright's own, else the distribution's package.

`python tests/browser/get_browser.py` prints its path, or ends with a sentence and status 1. The browser tests are never skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_BROWSER = (
    "There is no Chromium on this machine, and neither `playwright install chromium` nor `apt-get install chromium` could bring one. "
    "Install Chromium or Chrome so that it is on the PATH, and run `make test` again."
)


def works(path: str | Path) -> bool:
    """Whether the file is a browser that starts; a snap stub and a browser without its libraries are there and do not."""
    try:
        done = subprocess.run([str(path), "--version"], capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def on_path() -> Iterator[Path]:
    yield from (Path(found) for name in NAMES if (found := shutil.which(name)))


def playwrights_own() -> Iterator[Path]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    if path.exists():
        yield path


def find_browser() -> Path | None:
    """A Chromium that is there and starts, or None."""
    return next((path for source in (on_path, playwrights_own) for path in source() if works(path)), None)


def attempt(command: list[str]) -> None:
    """Runs an installer, its output on stderr; that it failed shows in there being no browser afterwards."""
    print("$", " ".join(command), file=sys.stderr)
    try:
        subprocess.run(command, stdout=sys.stderr, check=False, timeout=900)
    except (OSError, subprocess.TimeoutExpired) as problem:
        print(problem, file=sys.stderr)


def install_playwrights_own() -> None:
    attempt([sys.executable, "-m", "playwright", "install", "chromium"])


def install_package() -> None:
    if not shutil.which("apt-get"):
        return
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    attempt([*as_root, "apt-get", "update"])
    attempt([*as_root, "apt-get", "install", "-y", "chromium"])


def get_browser(installers: tuple[Callable[[], None], ...] = (install_playwrights_own, install_package)) -> Path:
    """A Chromium that starts, brought here if need be. Raises SystemExit with a sentence where none can be had."""
    found = find_browser()
    for install in installers:
        if found is None:
            install()
            found = find_browser()
    if found is None:
        raise SystemExit(NO_BROWSER)
    return found


if __name__ == "__main__":
    print("browser:", get_browser())

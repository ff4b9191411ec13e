"""The real app on tiny random models, in a real Chromium, with an eye on every request.

`page` is the lab, opened and watched; `open_page(url)` opens another tab; `app` is the server. Most stories are served by this process,
which has imported everything already; `App` is a process of its own, `app.py` as people start it, which a story may kill and start again.
Either runs under the socket guard of the tests, so it can no more call home than the page can.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from app import MAX_UPLOAD
from core.lab import Lab
from tests.browser.get_browser import NO_BROWSER, find_browser
from tests.ports import free_port
from tests.tiny import write_models
from ui.launch import launch
from ui.page import build_page

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 240  # importing torch, diffusers and gradio on a machine that is busy with something else
PATIENCE = 150_000  # ms; an inversion, a training or a search for faces on a machine that is busy with something else
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]

expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")
            item.add_marker(pytest.mark.timeout(600))


def _listen_to_ctrl_c() -> None:
    """A shell's background job ignores Ctrl-C, and so would the servers of a suite that runs as one; each would be waited for."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class Here:
    """A lab that this process serves. What it tries to reach outside this machine fails the test, as what a test tries does."""

    url: str
    checkpoints: Path


@dataclass
class App:
    """One server process with its own home. `kill` is `kill -9`; after it, `start` opens the same lab on the same address again."""

    home: Path
    checkpoints: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def attempts(self) -> list[str]:
        """What the server tried to reach outside this machine, from the guard's own file."""
        return (self.home / "attempts.log").read_text().splitlines()

    def start(self) -> App:
        self.home.mkdir(parents=True, exist_ok=True)
        program = ["app.py", "--host", "127.0.0.1", "--port", str(self.port), "--home", str(self.home / "lab")]
        program += ["--checkpoints", str(self.checkpoints), "--device", "cpu"]
        command = [sys.executable, "-m", "tests.socket_guard", str(self.home / "attempts.log"), *program]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, preexec_fn=_listen_to_ctrl_c
            )
        self.wait_until_it_answers()
        return self

    def wait_until_it_answers(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(self.url, timeout=10):
                    return
            except (urllib.error.URLError, TimeoutError):
                time.sleep(0.2)
        self.kill()
        pytest.fail(f"The lab did not answer on {self.url}:\n{self.log.read_text()[-4000:]}", pytrace=False)

    def end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=60)
            self.process = None

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def stop(self) -> None:
        """As Ctrl-C does; a server that does not listen to that is killed."""
        try:
            self.end(signal.SIGINT)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def process_of(home: Path, checkpoints: Path) -> Iterator[App]:
    """A server process while the block runs. At its end: it tried to reach no other machine."""
    app = App(home, checkpoints, free_port()).start()
    try:
        yield app
    finally:
        app.stop()
    assert not app.attempts, f"The server tried to reach another machine: {app.attempts}"


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny random models in the layout of `checkpoints/`."""
    return write_models(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="session")
def app(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    """The server that most tests share, with a home of its own: what `app.py` does, but for waiting."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch, closing(Lab(home / "lab", checkpoints, "cpu")) as lab:
        patch.setenv("GRADIO_TEMP_DIR", str(home / "page"))
        page = build_page(lab)
        yield Here(launch(page, "127.0.0.1", free_port(), MAX_UPLOAD, block=False), checkpoints)
        page.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_browser()
    if path is None:
        pytest.fail(NO_BROWSER, pytrace=False)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(path), args=CHROMIUM_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens watched pages; further arguments go to Playwright's `new_context` (viewport, color_scheme, …).

    At the end: no request went to another host, and no script failed.
    """
    foreign: list[str] = []
    errors: list[str] = []
    contexts = []

    def watch_request(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname != "127.0.0.1":
            foreign.append(request.url)

    def open_at(url: str, **options: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "accept_downloads": True, **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.on("request", watch_request)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("websocket", lambda ws: foreign.append(ws.url) if urlsplit(ws.url).hostname != "127.0.0.1" else None)
        page.goto(url, wait_until="domcontentloaded")
        page.get_by_role("tab", name="Edit", exact=True).wait_for()
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert not foreign, f"The page asked another host: {foreign}"
    assert not errors, f"A script on the page failed: {errors}"


@pytest.fixture
def page(app: Here | App, open_page: Callable[..., Page]) -> Page:
    """The lab, opened on a fresh browser profile."""
    return open_page(app.url)

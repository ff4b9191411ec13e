"""The guard itself: what it refuses, what it lets through, and that a swallowed refusal still fails a test."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests import socket_guard

ELSEWHERE = ("192.0.2.1", 80)  # TEST-NET-1 of RFC 5737: nobody lives there
ROOT = Path(__file__).resolve().parent.parent


def test_a_connection_elsewhere_is_refused_and_remembered():
    with socket_guard.watch() as seen, contextlib.suppress(socket_guard.ForeignConnection):
        socket.create_connection(ELSEWHERE, timeout=1)
    assert seen and "192.0.2.1" in seen[0]


@pytest.mark.parametrize("name", ["huggingface.co", "8.8.8.8", "2001:db8::1"])
def test_names_and_addresses_of_others_are_foreign(name):
    assert not socket_guard.is_this_machine(name)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.3.2.1", "::1", b"localhost", None, "0.0.0.0"])
def test_loopback_is_not(name):
    assert socket_guard.is_this_machine(name)


def test_udp_from_another_thread_is_seen_too():
    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, contextlib.suppress(socket_guard.ForeignConnection):
            sender.sendto(b"hello", ELSEWHERE)

    with socket_guard.watch() as seen:
        thread = threading.Thread(target=send)
        thread.start()
        thread.join()
    assert len(seen) == 1


def test_loopback_connections_go_through():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), timeout=5) as client:
        assert client.getpeername()[0] == "127.0.0.1"


def test_a_guarded_program_writes_its_attempts_down(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import socket\ntry:\n    socket.create_connection(('192.0.2.1', 80), 1)\nexcept Exception:\n    print('went on')\n")
    log = tmp_path / "attempts.log"
    command = [sys.executable, "-m", "tests.socket_guard", str(log), str(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "went on\n"
    assert "192.0.2.1" in log.read_text()


@pytest.mark.long
def test_the_fixture_fails_a_test_that_swallows_the_refusal(tmp_path):
    lines = ["import socket", "def test_it():", "    try:", "        socket.create_connection(('192.0.2.1', 80), 1)"]
    text = "\n".join([*lines, "    except Exception:", "        pass", ""])
    (tmp_path / "test_swallows.py").write_text(text)
    (tmp_path / "conftest.py").write_text("from tests.conftest import only_this_machine\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), f"--rootdir={tmp_path}"]
    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "tried to reach another machine" in done.stdout

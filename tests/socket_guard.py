"""Refuses and remembers every connection to another machine, in the tests and in the server that the browser tests start.

An audit hook sees what monkeypatching misses: sockets opened by other threads and by libraries that kept their own reference to `socket`.
`python -m tests.socket_guard LOG app.py …` runs a program under the guard and writes each attempt to LOG, one a line.
"""

from __future__ import annotations

import ipaddress
import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WATCHED = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
attempts: list[str] = []


class ForeignConnection(RuntimeError):
    """Not an OSError on purpose: libraries retry or swallow those."""


def is_this_machine(host: str | bytes | None) -> bool:
    """Whether a host name or address means this machine; an unknown name does not, as looking it up would ask another."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(name).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def host_of(event: str, args: tuple[Any, ...]) -> str | bytes | None:
    """The host that an audit event speaks of; None for a Unix socket (whose address is a path) and for a connected one."""
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        return args[0]
    address = args[1]
    return address[0] if isinstance(address, tuple) else None


def install(report: Callable[[str], None] = attempts.append) -> None:
    """Guards this process from now on; an audit hook cannot be taken out again."""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in WATCHED and not is_this_machine(host := host_of(event, args)):
            report(f"{event} {host!r}")
            raise ForeignConnection(f"{event} to {host!r}: tests and the page talk to this machine only.")

    sys.addaudithook(hook)


@contextmanager
def watch() -> Iterator[list[str]]:
    """Gives the attempts made inside, complete once the block has ended, and takes them off the record."""
    start = len(attempts)
    seen: list[str] = []
    try:
        yield seen
    finally:
        seen.extend(attempts[start:])
        del attempts[start:]


def main() -> None:
    log = Path(sys.argv[1])
    log.touch()

    def write(line: str) -> None:
        with log.open("a") as file:
            file.write(line + "\n")

    install(write)
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()

"""Threads, sockets and files that a test leaves behind."""

import gc
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.support.waiting import wait_for

FOLDER = "/proc/self/fd"
TIME_TO_END = 60.0
"""Seconds; a server in Python waits 30 s for an answer that never comes."""


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Check that a test leaves no thread, socket or open file; they have time to end."""
    threads, files = set(threading.enumerate()), _open_files()
    yield

    def left() -> set[object]:
        return {*threading.enumerate(), *_open_files()} - threads - files

    if wait_for(lambda: not left(), TIME_TO_END):
        return
    gc.collect()  # Garbage of a server or HTTP client in the test may hold a socket.
    if rest := left():
        sockets = [one for one in gc.get_objects() if isinstance(one, socket.socket)]
        pytest.fail(f"The test left behind: {rest}. Open sockets: {sockets}")


def _open_files() -> set[str]:
    """Return what is open, except pipes, which belong to other processes."""
    found = set()
    for name in os.listdir(FOLDER) if os.path.isdir(FOLDER) else ():
        with suppress(OSError):
            found.add(os.readlink(f"{FOLDER}/{name}"))
    return {one for one in found if not one.startswith(("pipe:", "/proc/", "/dev/"))}

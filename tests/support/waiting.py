"""Waiting for a condition, with a limit."""

import time
from collections.abc import Callable


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Wait until the condition holds, at most so many seconds; return whether it does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True

"""Waits for a condition, and limits that fit even the slowest machine."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fw_gear_dicom_send.network.timeouts import Timeouts

PATIENCE = 120.0
"""Seconds after which an idle test fails: far more than a busy machine needs."""
NEVER = 600.0
"""Timeout, in seconds, that never passes in a test."""
LONG_TIMEOUTS = Timeouts(
    connect=NEVER,
    associate=NEVER,
    write=NEVER,
    response=NEVER,
    echo=NEVER,
    find=NEVER,
    action=NEVER,
    commitment=NEVER,
    release=NEVER,
    abort=NEVER,
    idle=NEVER,
    limit=NEVER,
)
"""Timeouts that never pass in a test."""


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Wait until the condition is true, up to a time limit; return whether it is."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@contextmanager
def without_timeout() -> Iterator[None]:
    """Check that the block does not end by a timeout of NEVER seconds."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < NEVER / 2

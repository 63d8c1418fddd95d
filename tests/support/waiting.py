"""Waiting for a condition, with a limit; and limits that no machine is too slow for."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fw_gear_dicom_send.network.timeouts import Timeouts

PATIENCE = 120.0
"""Seconds after which a test fails in which nothing happens: far more than a busy machine needs."""
NEVER = 600.0
"""A timeout, in seconds, that is not meant to pass."""
PATIENT = Timeouts(
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
    limit=NEVER,
)
"""Timeouts of which none is meant to pass."""


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Wait until the condition holds, at most so many seconds; return whether it does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@contextmanager
def at_once() -> Iterator[None]:
    """Check that the block does not end by a timeout of NEVER seconds."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < NEVER / 2

"""Helpers of the fuzz tests: rounds of examples, their limits, and damage to bytes.

The examples have the same order in each run; `--fuzz-seconds` sets the duration.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from struct import pack

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st

from tests.support.examples import SHARE
from tests.support.footprint import peak_resident

SECONDS = 6.0 * SHARE
"""Default duration of each test."""
EXAMPLES = 20
MAX_SECONDS = 60.0
"""Number of seconds after which an example counts as a hang."""
MAX_MEMORY = 350_000_000
Fuzz = Callable[[Callable[[], None]], None]
in_rounds = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
NUMBERS = [0, 1, 2, 3, 7, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF]
NUMBER_FORMATS = ["<B", "<H", ">H", "<L", ">L", "<Q"]
Damage = Callable[[bytearray], None]


class HangError(AssertionError):
    """An example takes too long."""


@pytest.fixture
def fuzz(pytestconfig: pytest.Config) -> Fuzz:
    """Call a property in rounds with different seeds until the time is over."""
    seconds = pytestconfig.getoption("--fuzz-seconds") or SECONDS

    def run(check: Callable[[], None]) -> None:
        end = time.monotonic() + seconds
        for number in count():
            seed(number)(check)()
            if time.monotonic() > end:
                break

    return run


@contextmanager
def no_hang() -> Iterator[None]:
    """Raise HangError if the block takes too long."""

    def ring(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Check the peak memory of the block."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    before = peak_resident(os.getpid())
    yield
    assert peak_resident(os.getpid()) - before < MAX_MEMORY


def open_files(*, sockets: bool = True) -> int:
    """Count open files; other sockets may be closed during the test."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found += sockets or not os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return found


@st.composite
def damages(draw: st.DrawFn) -> Damage:
    """Draw a change that can be applied to any bytes."""
    place = draw(st.floats(0, 1, exclude_max=True))
    size = draw(st.integers(1, 64) | st.integers(1, 4096))
    noise = draw(st.binary(min_size=1, max_size=12))
    number = draw(st.sampled_from(NUMBERS))
    layout = draw(st.sampled_from(NUMBER_FORMATS))
    kind = draw(
        st.sampled_from(["set", "number", "cut", "drop", "repeat", "insert", "zero", "flip"])
    )
    elsewhere = draw(st.floats(0, 1, exclude_max=True))

    def damage(data: bytearray) -> None:
        at = int(place * len(data))
        part = data[at : at + size]
        match kind:
            case "set":
                data[at : at + len(noise)] = noise
            case "number":
                width = len(pack(layout, 0))
                data[at : at + width] = pack(layout, number & (1 << 8 * width) - 1)
            case "cut":
                del data[at:]
            case "drop":
                del data[at : at + size]
            case "repeat":
                to = int(elsewhere * len(data))
                data[to:to] = part
            case "insert":
                data[at:at] = noise
            case "zero":
                data[at : at + size] = bytes(len(part))
            case "flip":
                data[at : at + 1] = bytes(byte ^ noise[0] for byte in data[at : at + 1])

    return damage


def damaged(data: bytes, changes: list[Damage]) -> bytes:
    """Return the bytes after these changes, applied in order."""
    changed = bytearray(data)
    for change in changes:
        change(changed)
    return bytes(changed)


many_damages = st.lists(damages(), max_size=5)

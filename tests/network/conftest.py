"""What holds for every test of the network."""

from collections.abc import Iterator

import pytest

from tests.support.associations import upper_layers
from tests.support.clock import Clock
from tests.support.fuzzing import fuzz
from tests.support.waiting import wait_for

__all__ = ["fuzz"]


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    """Whatever happens to associations, no thread of theirs outlives them."""
    yield
    assert wait_for(lambda: not upper_layers())


@pytest.fixture
def clock() -> Clock:
    """A clock for a policy, on which waits between tries take nearly all the time."""
    return Clock(tick=1e-6)

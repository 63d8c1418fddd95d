"""Fixtures shared by all network tests, and a check after each."""

import pytest

from tests.support.clock import Clock
from tests.support.fuzzing import fuzz
from tests.support.leftovers import nothing_is_left
from tests.support.querying import pools_end

__all__ = ["fuzz", "nothing_is_left", "pools_end"]


@pytest.fixture
def clock() -> Clock:
    """Clock for a policy on which waits between tries take nearly all the time."""
    return Clock(tick=1e-6)

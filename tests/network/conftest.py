"""What holds for every test of the network."""

import pytest

from tests.support.clock import Clock
from tests.support.fuzzing import fuzz

__all__ = ["fuzz"]


@pytest.fixture
def clock() -> Clock:
    """A clock for a policy, on which waits between tries take nearly all the time."""
    return Clock(tick=1e-6)

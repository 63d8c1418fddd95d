"""Fixture shared by all network tests."""

import pytest

from tests.support.clock import Clock
from tests.support.fuzzing import fuzz

__all__ = ["fuzz"]


@pytest.fixture
def clock() -> Clock:
    """Clock for a policy on which waits between tries take nearly all the time."""
    return Clock(tick=1e-6)

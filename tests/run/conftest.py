"""Fixtures of runs, and a check after each test of a run."""

from tests.support.leftovers import nothing_is_left
from tests.support.querying import pools_end
from tests.support.signals import own_signals

__all__ = ["nothing_is_left", "own_signals", "pools_end"]

"""Check after each test of a run."""

from tests.support.leftovers import nothing_is_left

__all__ = ["nothing_is_left"]

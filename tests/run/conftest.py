"""Check after each test of a run."""

from tests.support.leftovers import nothing_is_left
from tests.support.querying import pools_end

__all__ = ["nothing_is_left", "pools_end"]

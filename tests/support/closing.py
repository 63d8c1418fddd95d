"""Check that files are closed immediately, not by the garbage collector."""

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """Check that the block closes its files; deleting an open file raises a warning.

    Garbage of earlier tests is collected first.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [warning for warning in caught if warning.category is ResourceWarning] == []

"""A check that files are closed at once, not when Python gets to it."""

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """Check that the block closes its files; one that is deleted while it is open is a warning.

    What tests before left to be collected is collected first.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [warning for warning in caught if warning.category is ResourceWarning] == []

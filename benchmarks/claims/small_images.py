"""Many small images."""

from functools import cache

from tests.support.sample_files import PREFIX_OF_MADE_UIDS, encoded, made

FIRST = 10_000


@cache
def _template() -> bytes:
    return encoded(made(FIRST))


def small_image(number: int) -> bytes:
    """Return a DICOM file of 1 KB: a different SOP instance for each number from 0 to 89,999."""
    return _template().replace(_uid(0), _uid(number))


def _uid(number: int) -> bytes:
    return f"{PREFIX_OF_MADE_UIDS}1.{FIRST + number}".encode()

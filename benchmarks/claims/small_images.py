"""Many small images."""

from functools import cache

from tests.support.sample_files import PREFIX_OF_MADE_UIDS, encoded, made

FIRST = 100_000


@cache
def _template() -> bytes:
    image = made(0)
    image.SOPInstanceUID = _uid(0)
    return encoded(image)


def small_image(number: int) -> bytes:
    """Return a DICOM file of 1 KB: a different SOP instance for each number from 0 to 899,999."""
    return _template().replace(_uid(0).encode(), _uid(number).encode())


def _uid(number: int) -> str:
    return f"{PREFIX_OF_MADE_UIDS}1.{FIRST + number}"

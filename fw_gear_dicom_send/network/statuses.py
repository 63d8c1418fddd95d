"""Meanings of the statuses of DIMSE responses (PS3.4 B.2.3, PS3.7 annex C)."""

from collections.abc import Mapping

from ..delivery.results import Resending
from ..imports import IMPORTING

_Table = Mapping[int, tuple[str, str]]

DUPLICATE_SOP_INSTANCE = 0x0111
"""The server has an object with this UID: the same image if it was written before."""
_RESENDING = {
    range(0x0110, 0x0111): Resending.ONCE,  # processing failure
    range(0x0213, 0x0214): Resending.WHILE_NOTHING_IS_STORED,  # resource limitation
    range(0xA700, 0xA701): Resending.WHILE_NOTHING_IS_STORED,  # out of resources
    range(0xC000, 0xD000): Resending.ONCE,  # cannot understand
}
"""When to resend an image after a status, and never after any other.

dcm4chee-arc-light refuses for good with A770 to A77B. 0110 and Cxxx may come from a race of images.
"""


def category_of(status: int) -> str:
    """Return the category of a status, of any service (PS3.7 C): "Warning", "Failure" or other."""
    # Importing pynetdicom takes 0.3 s, and few runs get a status other than 0.
    with IMPORTING:
        from pynetdicom.status import code_to_category

    return code_to_category(status)


def resending_of(status: int) -> Resending:
    """Return when to resend an image after a C-STORE status."""
    return next((rule for codes, rule in _RESENDING.items() if status in codes), Resending.NEVER)


def describe(status: int, table: _Table | None = None) -> str:
    """Return a status in hexadecimal with its meaning.

    `table` is a table of pynetdicom, by default the one for C-STORE.
    """
    if status == 0:
        return "0x0000 Success"
    if table is None:
        with IMPORTING:
            from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

        table = STORAGE_SERVICE_CLASS_STATUS
    _, meaning = table.get(status, ("", ""))
    return f"0x{status:04X} {meaning or 'of unknown meaning'}"

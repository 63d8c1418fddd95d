"""Meanings of the statuses of DIMSE responses (PS3.4 B.2.3, PS3.7 annex C)."""

from collections.abc import Mapping

from ..delivery.results import Resending
from ..imports import IMPORTING

SUCCESS, WARNING, FAILURE, CANCEL, PENDING = "Success", "Warning", "Failure", "Cancel", "Pending"
UNKNOWN = "Unknown"
"""The categories of statuses (PS3.7 C)."""
_Table = Mapping[int, tuple[str, str]]

_DUPLICATE_SOP_INSTANCE = 0x0111
_WARNINGS, _WARNING_CLASS = (0x0001, 0x0107, 0x0116), 0xB
_FAILURES = frozenset(
    (
        *(0x0105, 0x0106, *range(0x0110, 0x0116), *range(0x0117, 0x011A)),
        *(*range(0x0120, 0x0125), *range(0x0210, 0x0214)),
    )
)
_FAILURE_CLASSES = (0xA, 0xC)
_PENDING, _CANCEL = (0xFF00, 0xFF01), 0xFE00
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
    """Return the category of a status, of any service (PS3.7 C)."""
    if status == 0:
        return SUCCESS
    if status in _PENDING:
        return PENDING
    if status == _CANCEL:
        return CANCEL
    if status in _WARNINGS or status >> 12 == _WARNING_CLASS:
        return WARNING
    return FAILURE if status in _FAILURES or status >> 12 in _FAILURE_CLASSES else UNKNOWN


def is_stored(status: int, *, may_be_stored: bool) -> bool:
    """Return whether a C-STORE status means that the server has the image.

    A duplicate (0111) was stored by an earlier request if this `may_be_stored`: the request was
    written completely, but its answer was lost. Otherwise it may be another object.
    """
    if status == _DUPLICATE_SOP_INSTANCE:
        return may_be_stored
    return category_of(status) in (SUCCESS, WARNING)


def resending_of(status: int) -> Resending:
    """Return when to resend an image after a C-STORE status."""
    return next((rule for codes, rule in _RESENDING.items() if status in codes), Resending.NEVER)


def is_warning(status: int) -> bool:
    """Return whether the image is stored, but with a change or a problem."""
    return bool(category_of(status) == WARNING)


def is_failure(status: int) -> bool:
    """Return whether the image is not stored, permanently or temporarily."""
    return bool(category_of(status) == FAILURE)


def describe(status: int, table: _Table | None = None) -> str:
    """Return a status in hexadecimal with its meaning.

    `table` is a table of pynetdicom, by default the one for C-STORE.
    """
    if status == 0:
        return "0x0000 Success"
    if table is None:
        # Importing pynetdicom takes 0.3 s, and few runs get such a status.
        with IMPORTING:
            from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

        table = STORAGE_SERVICE_CLASS_STATUS
    _, meaning = table.get(status, ("", ""))
    return f"0x{status:04X} {meaning or 'of unknown meaning'}"

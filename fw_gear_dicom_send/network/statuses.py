"""What the status of a C-STORE response means (PS3.4 B.2.3, PS3.7 annex C)."""

from collections.abc import Mapping
from dataclasses import dataclass

from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS, code_to_category

SUCCESS, WARNING, FAILURE, CANCEL, PENDING = "Success", "Warning", "Failure", "Cancel", "Pending"
"""The categories of pynetdicom's status tables."""
_Table = Mapping[int, tuple[str, str]]

_DUPLICATE_SOP_INSTANCE = 0x0111
_RESOURCE_LIMITATION = 0x0213
_OUT_OF_RESOURCES = range(0xA700, 0xA800)


@dataclass(frozen=True)
class Fate:
    """What a status means for an image: whether it is stored, and whether it may be later."""

    sent: bool
    may_pass: bool = False


def fate_of(status: int, *, is_resend: bool) -> Fate:
    """Return what becomes of the image that a C-STORE response is about.

    A duplicate that is a resend was stored before.
    """
    if is_resend and status == _DUPLICATE_SOP_INSTANCE:
        return Fate(sent=True)
    may_pass = status in _OUT_OF_RESOURCES or status == _RESOURCE_LIMITATION
    return Fate(code_to_category(status) in (SUCCESS, WARNING), may_pass)


def is_warning(status: int) -> bool:
    """Return whether the image is stored, but not as it was sent."""
    return bool(code_to_category(status) == WARNING)


def is_failure(status: int) -> bool:
    """Return whether nothing is stored, for good or for now."""
    return bool(code_to_category(status) == FAILURE)


def describe(status: int, table: _Table = STORAGE_SERVICE_CLASS_STATUS) -> str:
    """Return a status in hexadecimal, and its meaning in a table of pynetdicom."""
    _, meaning = table.get(status, ("", ""))
    return f"0x{status:04X} {meaning or ('Success' if status == 0 else 'of unknown meaning')}"

"""Results and remarks with any text, for tests in which only the text matters."""

from typing import Any

from fw_gear_dicom_send.models import Remark
from fw_gear_dicom_send.network.types import NotSent, Sent, Transfer
from fw_gear_dicom_send.reasons import Kind, Reason


def saying(text: str) -> Reason:
    """Return a reason whose text is `text`."""
    return Reason(Kind.REJECTED, text)


def remark(text: str, images: int, *, failure: bool) -> Remark:
    """Return a remark whose text is `text`."""
    return Remark((saying(text),), images, failure=failure)


def sent(text: str = "", **transfer: Any) -> Sent:
    """Return the result of an image that was sent, with `text` as a remark if there is one."""
    return Sent(Transfer(**transfer), (saying(text),) if text else ())


def not_sent(text: str = "", **transfer: Any) -> NotSent:
    """Return the result of an image that was not sent, and why."""
    return NotSent(saying(text), Transfer(**transfer))

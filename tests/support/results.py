"""Results and remarks with any text, and what tests compare of results."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from fw_gear_dicom_send.models import Remark
from fw_gear_dicom_send.network.types import NotSent, Sent, StoreResult, Suspect, Transfer
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


def final(result: StoreResult | Suspect) -> StoreResult:
    """Return what becomes of an image that is not sent again."""
    return result.failure if isinstance(result, Suspect) else result


class Outcome(NamedTuple):
    """What tests compare of a result, whatever its transfer was.

    It is whether the image was sent, the kind of the reason that counts, and all that is said.
    """

    is_sent: bool
    kind: Kind | None = None
    text: str = ""


SENT = Outcome(True)


def reasons_of(result: StoreResult) -> tuple[Reason, ...]:
    """Return all reasons in a result, in order; the last one counts."""
    return (*result.remarks, result.reason) if isinstance(result, NotSent) else result.remarks


def text_of(result: StoreResult) -> str:
    """Return all that a result says."""
    return "; ".join(reason.text for reason in reasons_of(result))


def outcome(result: StoreResult | Suspect) -> Outcome:
    """Return what tests compare of a result; that of a suspect image is its failure."""
    result = final(result)
    reasons = reasons_of(result)
    kind = reasons[-1].kind if reasons else None
    return Outcome(isinstance(result, Sent), kind, text_of(result))


def outcomes(results: Iterable[StoreResult | Suspect]) -> list[Outcome]:
    """Return what tests compare of results."""
    return list(map(outcome, results))

"""Results and remarks with arbitrary text, and their comparison in tests."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from fw_gear_dicom_send.delivery.results import (
    Answer,
    NotSent,
    Sent,
    StoreResult,
    Suspect,
    Transfer,
)
from fw_gear_dicom_send.models import Remark
from fw_gear_dicom_send.network.statuses import describe
from fw_gear_dicom_send.reasons import Kind, Reason


def reason_with(text: str) -> Reason:
    """Return a reason with this text."""
    return Reason(Kind.REJECTED, text)


def remark(text: str, images: int, *, failure: bool) -> Remark:
    """Return a remark with this text."""
    return Remark((reason_with(text),), images, failure=failure)


def sent(text: str = "", **transfer: Any) -> Sent:
    """Return the result of a sent image, with `text` as an optional remark."""
    return Sent(Transfer(**transfer), (reason_with(text),) if text else ())


def not_sent(text: str = "", **transfer: Any) -> NotSent:
    """Return the result of an image that was not sent, with the reason."""
    return NotSent(reason_with(text), Transfer(**transfer))


def final(result: StoreResult | Suspect) -> StoreResult:
    """Return the final result of an image that is not resent."""
    return result.failure if isinstance(result, Suspect) else result


def judged(status: int) -> Answer:
    """Return the answer with a DIMSE status."""
    return Answer(status, describe(status), is_success=status == 0)


class Outcome(NamedTuple):
    """Parts of a result that tests compare, without its transfer.

    These are whether the image was sent, the kind of the decisive reason, and all texts.
    """

    is_sent: bool
    kind: Kind | None = None
    text: str = ""


SENT = Outcome(True)


def reasons_of(result: StoreResult) -> tuple[Reason, ...]:
    """Return all reasons in a result, in order; the last one is decisive."""
    return (*result.remarks, result.reason) if isinstance(result, NotSent) else result.remarks


def text_of(result: StoreResult) -> str:
    """Return all texts of a result."""
    return "; ".join(reason.text for reason in reasons_of(result))


def outcome(result: StoreResult | Suspect) -> Outcome:
    """Return the compared parts of a result; for a suspect image, those of its failure."""
    result = final(result)
    reasons = reasons_of(result)
    kind = reasons[-1].kind if reasons else None
    return Outcome(isinstance(result, Sent), kind, text_of(result))


def outcomes(results: Iterable[StoreResult | Suspect]) -> list[Outcome]:
    """Return the compared parts of results."""
    return list(map(outcome, results))

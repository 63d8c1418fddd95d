"""What a try to send an image comes to, by the peer's answer."""

from collections.abc import Callable
from dataclasses import dataclass

from ..dicom.privacy import Identity
from ..reasons import Kind, Reason
from ..text import printable
from .dimse import MAX_ERROR_COMMENT, StoreResponse
from .statuses import describe, fate_of, is_warning
from .types import NotSent, Planned, Sent, Transfer


@dataclass(frozen=True)
class Outcome:
    """What became of a try to send an image, and whether another may end better."""

    result: Sent | Planned | NotSent
    may_pass: bool = False


@dataclass(frozen=True)
class History:
    """How often an image was sent before, and whether it may have been stored without an answer.

    `response_timeout` is how long the answer may take now, in seconds.
    """

    tries: int
    may_be_stored: bool
    response_timeout: float


def failure(reason: Reason, *, may_pass: bool = False) -> Outcome:
    """Return the outcome of a try that got no answer, or was none."""
    return Outcome(NotSent(reason), may_pass)


def judge(
    response: StoreResponse, read_identity: Callable[[], Identity], history: History
) -> Outcome:
    """Return the outcome, with what the peer says of it."""
    status = response.status
    fate = fate_of(status, is_resend=history.tries > 0)
    is_duplicate = bool(status) and fate.sent and not is_warning(status)
    if not status or (is_duplicate and history.may_be_stored):
        return Outcome(Sent(Transfer(status)))
    detail = describe(status)
    if response.offending_elements:
        detail += f", offending elements {' '.join(response.offending_elements)}"
    comment = response.error_comment
    if comment:
        if read_identity().is_quoted_in(comment):
            comment = "withheld as it may quote the dataset"
        comment = printable(comment[:MAX_ERROR_COMMENT])
        detail += f", error comment {comment}"
    transfer = Transfer(status, comment)
    if fate.sent:
        remark = Reason(Kind.EXISTING_OBJECT if is_duplicate else Kind.WARNING, detail)
        return Outcome(Sent(transfer, (remark,)))
    kind = Kind.OUT_OF_RESOURCES if fate.may_pass else Kind.REFUSED
    return Outcome(NotSent(Reason(kind, detail), transfer), fate.may_pass)

"""Outcomes of C-STORE requests, decided by the peer's response."""

from collections.abc import Callable
from dataclasses import dataclass

from ..dicom.privacy import Identity
from ..reasons import Kind, Reason
from ..text import printable
from .dimse import MAX_ERROR_COMMENT, StoreResponse
from .statuses import describe, is_warning, meaning_of
from .types import NotSent, Planned, Sent, Transfer


@dataclass(frozen=True)
class Outcome:
    """The result of one try to send an image, and whether a retry may succeed."""

    result: Sent | Planned | NotSent
    is_temporary: bool = False


@dataclass(frozen=True)
class History:
    """The earlier tries to send an image, and whether one may have stored it without an answer.

    `response_timeout` is the maximum wait for the next response, in seconds.
    """

    tries: int
    may_be_stored: bool
    response_timeout: float


def failure(reason: Reason, *, is_temporary: bool = False) -> Outcome:
    """Return the outcome of an image that got no response, or was not sent."""
    return Outcome(NotSent(reason), is_temporary)


def judge(
    response: StoreResponse, read_identity: Callable[[], Identity], history: History
) -> Outcome:
    """Return the outcome of a response, with the details that the peer gives."""
    status = response.status
    meaning = meaning_of(status, may_be_stored=history.may_be_stored)
    if meaning.sent and not is_warning(status):
        return Outcome(Sent(Transfer(status)))
    detail = describe(status)
    if response.offending_elements:
        detail += f", offending elements {' '.join(response.offending_elements)}"
    comment = response.error_comment
    if comment:
        if read_identity().is_quoted_in(comment):
            comment = "withheld because it may quote the dataset"
        comment = printable(comment[:MAX_ERROR_COMMENT])
        detail += f", error comment {comment}"
    transfer = Transfer(status, comment)
    if meaning.sent:
        return Outcome(Sent(transfer, (Reason(Kind.WARNING, detail),)))
    kind = Kind.OUT_OF_RESOURCES if meaning.is_temporary else Kind.REFUSED
    return Outcome(NotSent(Reason(kind, detail), transfer), meaning.is_temporary)

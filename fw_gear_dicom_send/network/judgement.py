"""Results of C-STORE requests, decided by the peer's response."""

from collections.abc import Callable

from ..delivery.results import Answer, NotSent, Resending, Sent, Transfer
from ..delivery.tries import Judged
from ..dicom.privacy import Identity
from ..reasons import Kind, Reason
from ..text import printable
from .dimse import MAX_ERROR_COMMENT, StoreResponse
from .statuses import DUPLICATE_SOP_INSTANCE, category_of, describe, resending_of

_SUCCESS = Judged(Sent(Transfer(Answer(0, describe(0), is_success=True))))


def judge(
    response: StoreResponse, read_identity: Callable[[], Identity], *, may_be_stored: bool
) -> Judged:
    """Return the result of a response, with the details that the peer gives.

    `may_be_stored` means that the answer to an earlier request was lost.
    """
    status = response.status
    if not status:
        return _SUCCESS
    answer = Answer(status, describe(status))
    if may_be_stored and status == DUPLICATE_SOP_INSTANCE:
        return Judged(Sent(Transfer(answer)))
    detail = answer.text
    if response.offending_elements:
        detail += f", offending elements {' '.join(response.offending_elements)}"
    comment = response.error_comment
    if comment:
        comment = printable(read_identity().masked(comment[:MAX_ERROR_COMMENT]))
        if not any(map(str.isalpha, comment)):
            comment = "withheld because it may quote the dataset"
        detail += f", error comment {comment}"
    transfer = Transfer(Answer(status, answer.text, comment))
    code = f"0x{status:04X}"
    if category_of(status) == "Warning":
        return Judged(Sent(transfer, (Reason(Kind.WARNING, detail, code),)))
    resending = resending_of(status)
    is_out = resending is Resending.WHILE_NOTHING_IS_STORED
    kind = Kind.OUT_OF_RESOURCES if is_out else Kind.REFUSED
    return Judged(NotSent(Reason(kind, detail, code), transfer), resending)

"""Results of images at a server, whatever its protocol."""

from collections.abc import Mapping
from enum import Enum, auto
from math import inf
from typing import ClassVar

from ..reasons import Kind, Reason
from ..values import field, frozen, replace

RUN_ENDED = Reason(Kind.NOT_REACHED)
"""Reason why an image is not sent after the end of the run."""


class Resending(Enum):
    """When to resend an image that the server did not store.

    With `ONCE`, the image gets a second try at the end of the run, if the server stored others.
    `WHILE_NOTHING_IS_STORED` adds that until then, the server is at fault and not the image.
    """

    NEVER = auto()
    ONCE = auto()
    WHILE_NOTHING_IS_STORED = auto()


@frozen
class Answer:
    """Answer of a server to an image.

    `code` is the status of the protocol, and `text` the same for people: `0xA700 Refused: Out of
    resources` in DIMSE (PS3.7 C). `comment` is what the server adds. `is_success` is false for a
    warning too. `http_status` is the status of HTTP, 0 for another protocol.
    """

    code: int
    text: str
    comment: str = ""
    is_success: bool = False
    http_status: int = 0


@frozen
class Transfer:
    """Details of the tries to send an image.

    `answer` is the latest one, None if there is none. `tries` is their number. `seconds` is the
    duration of the last try, and `transfer_syntax_uid` and `size`, in bytes, are the encoding of
    the image in it. `crc32` is the checksum of a converted dataset, None if it was not converted.
    """

    answer: Answer | None = None
    tries: int = 0
    seconds: float = 0.0
    transfer_syntax_uid: str = ""
    size: int = 0
    crc32: int | None = None


@frozen
class Sent:
    """An image that was sent. Remarks are a conversion, or a warning of the server."""

    transfer: Transfer
    remarks: tuple[Reason, ...] = ()


@frozen
class Planned:
    """An image that a dry run would send. A remark is the conversion that it needs."""

    transfer: Transfer
    remarks: tuple[Reason, ...] = ()


@frozen
class NotSent:
    """An image that was not sent, and the reason. A remark is a conversion before the failure."""

    reason: Reason
    transfer: Transfer = Transfer()
    remarks: tuple[Reason, ...] = ()


@frozen
class Suspect:
    """An image that was not sent. Either the image or the server is at fault.

    `failure` is the result if the image is not resent. `failed_at` is a time on the clock of the
    retry policy. `may_be_stored` means that an answer was lost. The next try waits for an answer
    for `answer_timeout` seconds at most.
    """

    failure: NotSent
    failed_at: float
    may_be_stored: bool
    resending: Resending = Resending.WHILE_NOTHING_IS_STORED
    answer_timeout: float = inf

    @property
    def stopped(self) -> NotSent:
        """The result if the run stops before it resends the image."""
        failure = self.failure
        if self.may_be_stored and failure.reason.kind is Kind.CONNECTION_LOST:
            return replace(failure, reason=Reason(Kind.UNANSWERED))
        return failure


_FOUND = Reason(Kind.ALREADY_STORED)


@frozen
class AlreadyStored:
    """An image that was not sent because the server already has it.

    `reason` says how this is known. `is_equal` means that the dataset is known to be equal. A
    duplicate is equal to another image of this run.
    """

    transfer: ClassVar[Transfer] = Transfer()
    reason: Reason = _FOUND
    is_equal: bool = False

    @property
    def is_duplicate(self) -> bool:
        """Whether the image is a duplicate."""
        return self.reason.kind is Kind.DUPLICATE

    @property
    def remarks(self) -> tuple[Reason, ...]:
        """The reason, as the only remark."""
        return (self.reason,)


StoreResult = Sent | Planned | NotSent | AlreadyStored
"""Result of one image."""


@frozen
class ImageReference:
    """Reference to an image on a server: its class and its UIDs (PS3.3 10.8).

    `transfer_syntax_uid` and `crc32` are those of the dataset as sent, None if unknown.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str = ""
    crc32: int | None = None

    @property
    def series(self) -> tuple[str, str]:
        """The Study and the Series Instance UID."""
        return self.study_instance_uid, self.series_instance_uid


@frozen
class Verification:
    """Result of a verification, by SOP Instance UID. Each image is in one of the fields.

    `verified` images are on the server, `absent` images are not. `unknown` has the other images,
    with the reason why the verification failed.
    """

    verified: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    unknown: Mapping[str, Reason] = field(default_factory=dict)

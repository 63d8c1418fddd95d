"""Verification that acknowledged images are on the server (option `verify`)."""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress

from ..delivery.results import ImageReference, NotSent, Verification
from ..delivery.sender import Inquirer
from ..exit_codes import accepted_signals
from ..models import FileEntry, FileReport, ImageRecord
from ..reasons import Kind, Reason
from ..report.events import Observer
from ..report.verification import Verdict, Verifications
from ..retry import RetryPolicy, retry
from ..text import quantity
from ..values import frozen

log = logging.getLogger(__name__)

MAX_UNVERIFIED = 1000
"""Number of sent images that triggers verification at the end of a file."""
MAX_UNVERIFIED_IN_FILE = 10_000
"""Number of sent images that triggers verification in the middle of a file."""
MAX_UNKNOWN = 10_000
"""Maximum number of images with a failed query that are verified again at the end."""
VERIFY_POLICY = RetryPolicy(max_time=30, max_wait=5)
"""A server may need some time to index new images."""
_FINAL = {
    Kind.NOT_OFFERED,
    Kind.NO_COMMITMENT_REPORT,
    Kind.NOT_COMMITTED,
    Kind.NOT_QUERYABLE,
    Kind.CONTENT_DIFFERS,
}
"""Reasons that make further queries for an image pointless."""


@frozen
class _Image:
    """A sent image with its numbers in the order of all images.

    It has several numbers if its file contains it more than once.
    """

    reference: ImageReference
    numbers: list[int]


class _NotFoundError(Exception):
    """Some images are not on the server, or a query failed; `number` is their number."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"{quantity(number, 'image')} not found yet")


_Images = dict[tuple[FileEntry, str], _Image]
"""Images by file and SOP Instance UID."""


class Verifier(Observer):
    """Verification of sent images, in batches during the run and at its end.

    The mutable state is the images that are not verified yet, the absent images, the images whose
    query failed, and, after the first pass, the images that are resent.
    """

    def __init__(
        self,
        inquirer: Inquirer,
        verifications: Verifications,
        policy: RetryPolicy = VERIFY_POLICY,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Query with `inquirer`, retry by `policy`, and record the verdicts in `verifications`.

        `note` gets the text of each wait, empty after it.
        """
        self._note = note
        self._inquirer = inquirer
        self._verifications = verifications
        self._policy = policy
        self._unverified: _Images = {}
        self._absent: _Images = {}
        self._unknown: _Images = {}
        self._resent: _Images | None = None

    def image(self, record: ImageRecord) -> None:
        """Record an image; one that was sent is verified later."""
        key = record.entry, record.sop_instance_uid
        is_sent = not isinstance(record.result, NotSent)
        if self._resent is not None:
            if is_sent and (resent := self._resent.get(key)):
                self._unverified[key] = resent
            return
        number = self._verifications.add(is_sent=is_sent)
        if not is_sent:
            return
        if key not in self._unverified:
            self._unverified[key] = _Image(_reference(record), [])
        self._unverified[key].numbers.append(number)
        if len(self._unverified) >= MAX_UNVERIFIED_IN_FILE:
            self._query()

    def file(self, report: FileReport) -> None:  # noqa: ARG002
        """Verify the sent images if there are enough of them."""
        if len(self._unverified) >= MAX_UNVERIFIED:
            self._query()

    def missing(self) -> Mapping[FileEntry, frozenset[str]]:
        """Return the SOP Instance UIDs of missing images by file.

        Images that are missing, or whose query failed, are verified again, as a server may need
        some time to index new images. After this call, all further images count as resent.
        """
        with suppress(_NotFoundError):
            retry(
                self._policy,
                self._query_again,
                on=_NotFoundError,
                is_temporary=lambda _: not self._inquirer.given_up,
                before_wait=self._note_wait,
            )
        self._note("")
        self._resent, self._absent = self._absent, {}
        missing: dict[FileEntry, set[str]] = defaultdict(set)
        for entry, uid in self._resent:
            missing[entry].add(uid)
        return {entry: frozenset(uids) for entry, uids in missing.items()}

    def _note_wait(self, error: _NotFoundError, _: float) -> None:
        images = quantity(error.number, "image")
        what = f"for {images} to appear" if self._absent else f"to query {images} again"
        self._note(f"waiting {self._policy.max_time:.0f} s {what}")

    def _query_again(self) -> None:
        """Verify all images that are not verified yet; raise _NotFoundError if any remains."""
        self._unverified |= self._absent | self._unknown
        self._absent, self._unknown = {}, {}
        self._query()
        if number := len(self._absent) + len(self._unknown):
            raise _NotFoundError(number)

    def _query(self) -> None:
        """Verify the pending images, and keep those that are absent or unknown."""
        batch, self._unverified = self._unverified, {}
        if not batch:
            return
        with accepted_signals():  # the server may take minutes to answer
            answer = self._inquirer.verify([image.reference for image in batch.values()])
        for key, image in batch.items():
            entry, uid = key
            verdict = _verdict(answer, uid)
            is_new_reason = [
                self._verifications.note(entry, number, verdict) for number in image.numbers
            ]
            if isinstance(verdict, Reason):
                if any(is_new_reason):
                    log.warning("Cannot verify images: %s", verdict.text)
                if verdict.kind not in _FINAL and len(self._unknown) < MAX_UNKNOWN:
                    self._unknown[key] = image
            elif verdict is Verdict.ABSENT:
                self._absent[key] = image


def _verdict(answer: Verification, uid: str) -> Verdict | Reason:
    if uid in answer.verified:
        return Verdict.VERIFIED
    return Verdict.ABSENT if uid in answer.absent else answer.unknown[uid]


def _reference(record: ImageRecord) -> ImageReference:
    transfer = record.result.transfer
    return ImageReference(
        record.sop_class_uid,
        record.sop_instance_uid,
        record.study_instance_uid,
        record.series_instance_uid,
        transfer.transfer_syntax_uid or record.transfer_syntax_uid,
        record.crc32 if transfer.crc32 is None else transfer.crc32,
    )

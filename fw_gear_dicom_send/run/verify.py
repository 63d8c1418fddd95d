"""Finds out whether what the server has acknowledged is there."""

import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from ..models import FileEntry, FileReport, ImageRecord
from ..network.inquiry import Inquirer
from ..network.types import ImageReference, NotSent, Verification
from ..reasons import Kind, Reason
from ..report.events import Observer
from ..report.verification import Verdict, Verifications
from ..retry import Retry, RetryPolicy

log = logging.getLogger(__name__)

MAX_UNVERIFIED = 1000
"""Images that were sent, and are remembered, before they are asked for at the end of a file."""
MAX_UNVERIFIED_IN_FILE = 10_000
"""Images that are remembered before they are asked for in the middle of a file."""
MAX_UNKNOWN = 10_000
"""Images that are remembered to be asked for again at the end, as a query for them failed."""
VERIFY_POLICY = RetryPolicy(max_time=30, max_wait=5)
"""A server may take a while to find what it has just taken in."""
_FINAL = {Kind.NOT_OFFERED, Kind.NO_COMMITMENT_REPORT, Kind.NOT_COMMITTED, Kind.NOT_QUERYABLE}
"""Reasons for which it is no use to ask for an image again."""


@dataclass(frozen=True)
class _Image:
    """An image that was sent, and its numbers in the order of all: a file may hold it twice."""

    reference: ImageReference
    numbers: list[int]


_Images = dict[tuple[FileEntry, str], _Image]
"""Images by their files and SOP Instance UIDs."""


class Verifier(Observer):
    """Asks for images when so many have been sent that it is worth a query, and at the end.

    The mutable state is the images that are not asked for yet, those that are absent, those that
    a query failed for, and, once there were absent ones, those that are sent once more.
    """

    def __init__(
        self, inquirer: Inquirer, verifications: Verifications, policy: RetryPolicy = VERIFY_POLICY
    ) -> None:
        """Ask by `inquirer`, and again by `policy`; note in `verifications` what is known."""
        self._inquirer = inquirer
        self._verifications = verifications
        self._policy = policy
        self._unverified: _Images = {}
        self._absent: _Images = {}
        self._unknown: _Images = {}
        self._resent: _Images | None = None

    def image(self, record: ImageRecord) -> None:
        """Note an image. One that was sent is asked for later."""
        key = record.entry, record.sop_instance_uid
        is_sent = not isinstance(record.result, NotSent)
        if self._resent is not None:
            if is_sent and (again := self._resent.get(key)):
                self._unverified[key] = again
            return
        number = self._verifications.add(is_sent=is_sent)
        if not is_sent:
            return
        if key not in self._unverified:
            self._unverified[key] = _Image(_reference(record), [])
        self._unverified[key].numbers.append(number)
        if len(self._unverified) >= MAX_UNVERIFIED_IN_FILE:
            self._ask()

    def file(self, report: FileReport) -> None:  # noqa: ARG002
        """Ask for the images that were sent by now, once they are many."""
        if len(self._unverified) >= MAX_UNVERIFIED:
            self._ask()

    def missing(self) -> Mapping[FileEntry, frozenset[str]]:
        """Return the SOP Instance UIDs that are missing, by their file.

        Those that were, or that a query failed for, are asked for again, as a server may take a
        while to find what it has. Images that are counted from now on are sent once more.
        """
        attempts = Retry(self._policy)
        while True:
            self._unverified |= self._absent | self._unknown
            self._absent, self._unknown = {}, {}
            self._ask()
            is_settled = not (self._absent or self._unknown) or self._inquirer.given_up
            wait = None if is_settled else attempts.wait_time()
            if wait is None:
                break
            number = len(self._absent) + len(self._unknown)
            log.debug("%d images are verified again in %.1f s: not found yet", number, wait)
            self._policy.clock.sleep(wait)
        self._resent, self._absent = self._absent, {}
        missing: dict[FileEntry, set[str]] = defaultdict(set)
        for entry, uid in self._resent:
            missing[entry].add(uid)
        return {entry: frozenset(uids) for entry, uids in missing.items()}

    def _ask(self) -> None:
        """Ask for what is not verified, and remember what of it is absent or unknown."""
        asked, self._unverified = self._unverified, {}
        if not asked:
            return
        answer = self._inquirer.verify([image.reference for image in asked.values()])
        for key, image in asked.items():
            entry, uid = key
            verdict = _verdict(answer, uid)
            is_news = [self._verifications.note(entry, number, verdict) for number in image.numbers]
            if isinstance(verdict, Reason):
                if any(is_news):
                    log.warning("Images are not verified: %s", verdict.text)
                if verdict.kind not in _FINAL and len(self._unknown) < MAX_UNKNOWN:
                    self._unknown[key] = image
            elif verdict is Verdict.ABSENT:
                self._absent[key] = image


def _verdict(answer: Verification, uid: str) -> Verdict | Reason:
    if uid in answer.verified:
        return Verdict.VERIFIED
    return Verdict.ABSENT if uid in answer.absent else answer.unknown[uid]


def _reference(record: ImageRecord) -> ImageReference:
    return ImageReference(
        record.sop_class_uid,
        record.sop_instance_uid,
        record.study_instance_uid,
        record.series_instance_uid,
    )

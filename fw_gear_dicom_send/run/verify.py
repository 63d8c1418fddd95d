"""Finds out whether what the server has acknowledged is there."""

import logging
from collections import defaultdict
from collections.abc import Mapping

from ..models import FileEntry, FileReport, ImageRecord
from ..network.errors import QueryError
from ..network.query import Inquirer
from ..network.types import ImageReference, NotSent
from ..report.events import Observer
from ..retry import Retry, RetryPolicy

log = logging.getLogger(__name__)

MAX_UNVERIFIED = 1000
"""Images that were sent, and are remembered, before they are asked for."""
VERIFY_POLICY = RetryPolicy(max_time=30, max_wait=5)
"""A server may take a while to find what it has just taken in."""

_References = dict[FileEntry, dict[str, ImageReference]]
"""Images by their SOP Instance UIDs, by their files."""


class Verifier(Observer):
    """Asks for images when so many have been sent that it is worth a query, and at the end.

    Only what is not asked for yet, and what is missing, is remembered.
    """

    def __init__(self, inquirer: Inquirer, policy: RetryPolicy = VERIFY_POLICY) -> None:
        """Ask by `inquirer`, and again by `policy` for what is missing."""
        self._policy = policy
        self._inquirer = inquirer
        self._sent: _References = defaultdict(dict)
        self._unverified: _References = {}
        self._missing: _References = {}
        self._is_off = False

    def image(self, record: ImageRecord) -> None:
        """Note an image that was sent, and can be asked for."""
        if (
            not isinstance(record.result, NotSent)
            and record.study_instance_uid
            and record.series_instance_uid
        ):
            self._sent[record.entry][record.sop_instance_uid] = ImageReference(
                record.sop_class_uid,
                record.sop_instance_uid,
                record.study_instance_uid,
                record.series_instance_uid,
            )

    def file(self, report: FileReport) -> None:
        """Ask for the images of this file and of those before, once they are many."""
        self._unverified[report.entry] = self._sent.pop(report.entry, {})
        if sum(map(len, self._unverified.values())) >= MAX_UNVERIFIED:
            self._ask()

    def missing(self) -> Mapping[FileEntry, frozenset[str]]:
        """Return the SOP Instance UIDs that are missing, by their file.

        Those that were are asked for again, as a server may take a while to find what it has.
        """
        attempts = Retry(self._policy)
        while True:
            for entry, images in self._missing.items():
                self._unverified[entry] = self._unverified.get(entry, {}) | images
            self._missing = {}
            self._ask()
            wait = attempts.wait_time() if self._missing else None
            if wait is None:
                break
            self._policy.clock.sleep(wait)
        missing = {entry: frozenset(images) for entry, images in self._missing.items()}
        self._missing = {}
        return missing

    def _ask(self) -> None:
        """Ask for what is not verified, and remember what of it the server does not have."""
        asked, self._unverified = self._unverified, {}
        images = [image for known in asked.values() for image in known.values()]
        if self._is_off or not images:
            return
        try:
            absent = self._inquirer.missing(images)
        except QueryError as exc:
            log.warning("What was sent is not verified: %s", exc)
            self._is_off = True
            return
        for entry, known in asked.items():
            if absent_here := {uid: known[uid] for uid in known.keys() & absent}:
                self._missing[entry] = self._missing.get(entry, {}) | absent_here

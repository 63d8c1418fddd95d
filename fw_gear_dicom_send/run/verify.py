"""Finds out whether what the server has acknowledged is there."""

import logging
from collections import defaultdict
from collections.abc import Mapping

import backoff

from ..models import FileEntry, FileReport, ImageRecord
from ..network.query import Inquirer, QueryError
from ..network.types import ImageReference
from ..report.events import Observer

log = logging.getLogger(__name__)

MOST_UNVERIFIED = 1000
"""Images that were sent, and are remembered, before they are asked for."""
PATIENCE = 30.0
"""Seconds that a server may take to find what it has just taken in."""
NOT_THERE = "the server has acknowledged it, but does not have it"

_LONGEST_WAIT = 5.0

_References = dict[FileEntry, dict[str, ImageReference]]
"""Images by their SOP Instance UIDs, by their files."""


class Verifier(Observer):
    """Asks for images when so many have been sent that it is worth a query, and at the end.

    Only what is not asked for yet, and what is missing, is remembered.
    """

    def __init__(self, inquirer: Inquirer) -> None:
        """Ask by `inquirer`."""
        self._inquirer = inquirer
        self._sent: _References = defaultdict(dict)
        self._unverified: _References = {}
        self._missing: _References = {}
        self._is_off = False

    def image(self, record: ImageRecord) -> None:
        """Note an image that was sent, and can be asked for."""
        if record.result.sent and record.study_instance_uid and record.series_instance_uid:
            self._sent[record.entry][record.sop_instance_uid] = ImageReference(
                record.sop_class_uid,
                record.sop_instance_uid,
                record.study_instance_uid,
                record.series_instance_uid,
            )

    def file(self, report: FileReport) -> None:
        """Ask for the images of this file and of those before, once they are many."""
        self._unverified[report.entry] = self._sent.pop(report.entry, {})
        if sum(map(len, self._unverified.values())) >= MOST_UNVERIFIED:
            self._ask()

    def missing(self) -> Mapping[FileEntry, frozenset[str]]:
        """Return the SOP Instance UIDs that are missing, by their file.

        Those that were are asked for again, as a server may take a while to find what it has.
        """

        @backoff.on_predicate(
            backoff.expo,
            lambda is_found: not is_found,
            max_value=_LONGEST_WAIT,
            max_time=lambda: PATIENCE,
            logger=None,
        )
        def are_found() -> bool:
            for entry, images in self._missing.items():
                self._unverified[entry] = self._unverified.get(entry, {}) | images
            self._missing = {}
            self._ask()
            return not self._missing

        are_found()
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
            if left := {uid: known[uid] for uid in known.keys() & absent}:
                self._missing[entry] = self._missing.get(entry, {}) | left

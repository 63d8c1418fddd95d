"""Finds out whether what the server has acknowledged is there."""

import logging
from collections import defaultdict
from collections.abc import Mapping

import backoff

from .models import FileEntry, FileReport, ImageRecord, ImageReference
from .observer import Observer
from .query_scu import Inquirer, QueryError

log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds that a server may take to find what it has just taken in."""
NOT_THERE = "the server has acknowledged it, but does not have it"

_LONGEST_WAIT = 5.0


class Verifier(Observer):
    """Asks for the images of a file when all of them are sent.

    Only what is missing is remembered.
    """

    def __init__(self, inquirer: Inquirer) -> None:
        """Ask by `inquirer`."""
        self._inquirer = inquirer
        self._sent: dict[FileEntry, dict[str, ImageReference]] = defaultdict(dict)
        self._missing: dict[FileEntry, dict[str, ImageReference]] = {}
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
        """Ask for the images of a file."""
        self._note(report.entry, self._sent.pop(report.entry, {}))

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
            for entry, images in list(self._missing.items()):
                del self._missing[entry]
                self._note(entry, images)
            return not self._missing

        are_found()
        missing = {entry: frozenset(images) for entry, images in self._missing.items()}
        self._missing.clear()
        return missing

    def _note(self, entry: FileEntry, images: Mapping[str, ImageReference]) -> None:
        """Remember those of the images that the server does not have."""
        if self._is_off or not images:
            return
        try:
            absent = self._inquirer.missing(images.values())
        except QueryError as exc:
            log.warning("What was sent is not verified: %s", exc)
            self._is_off = True
            return
        if absent:
            self._missing[entry] = {uid: images[uid] for uid in absent if uid in images}

"""SCP that stores images, answers queries and commits to storage, correctly or incorrectly."""

from collections.abc import Callable, Collection, Iterator, Sequence
from threading import Thread
from typing import Any, Self

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
)

from tests.support.matching import SUCCESS, Matching, by_list
from tests.support.pacs import PythonSCP

PENDING = 0xFF00
COMMITTED, WITH_FAILURES = 1, 2
NO_SUCH_INSTANCE = 0x0112

Absent = Callable[[str], bool]
"""Callable that returns whether a stored instance is missing; called for each query."""


class ArchiveSCP(PythonSCP):
    """SCP that finds and commits the stored instances, except those in `absent`.

    `find_status` and `action_status` are the statuses of the responses to queries and to commitment
    requests. `matching` selects how UIDs are matched. If `reports` is true, an N-EVENT-REPORT
    follows the response on the same association; it omits the images in `unnamed`.
    """

    def __init__(
        self,
        absent: Absent = lambda _: False,
        *,
        find_status: int = SUCCESS,
        action_status: int = SUCCESS,
        matching: Matching = by_list,
        reports: bool = True,
        unnamed: Collection[str] = (),
        **options: Any,
    ) -> None:
        handlers = [
            (evt.EVT_C_FIND, self._on_find),
            (evt.EVT_N_ACTION, self._on_action),
            (evt.EVT_PDU_SENT, self._on_sent),
        ]
        super().__init__(handlers=handlers, **options)
        self.queries: list[Dataset] = []
        self.commitments: list[Dataset] = []
        self._absent = absent
        self._find_status = find_status
        self._action_status = action_status
        self._matching = matching
        self._reports = reports
        self._unnamed = unnamed
        self._reporting: list[Thread] = []
        self._due: dict[object, Thread] = {}

    def __enter__(self) -> Self:
        """Add the query and commitment services."""
        self.ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        self.ae.add_supported_context(StorageCommitmentPushModel)
        return super().__enter__()

    def __exit__(self, *exception: object) -> None:
        """Let the reports end: after an abort, each would wait 30 s for its answer."""
        for thread in self._reporting:
            thread.join()
        super().__exit__(*exception)

    def _on_find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        self.queries.append(event.identifier)
        if self._find_status != SUCCESS:
            yield self._find_status, None
            return
        stored = dict.fromkeys(one.sop_instance_uid for one in self.stored)
        there = [uid for uid in stored if not self._absent(uid)]
        uids, status = self._matching(_listed(event.identifier), there)
        for uid in uids:
            found = Dataset()
            found.QueryRetrieveLevel = "IMAGE"
            found.SOPInstanceUID = uid
            yield PENDING, found
        yield status, None

    def _on_action(self, event: evt.Event) -> tuple[int, None]:
        self.commitments.append(event.action_information)
        if self._reports and self._action_status == SUCCESS:
            asked = event.assoc, event.action_information
            self._due[event.assoc] = Thread(target=self._report, args=asked)
        return self._action_status, None

    def _on_sent(self, event: evt.Event) -> None:
        """Start a report after the response: pynetdicom would mix the PDUs of both."""
        if thread := self._due.pop(event.assoc, None):
            thread.start()
            self._reporting.append(thread)

    @staticmethod
    def committed(named: Sequence[Dataset], failed: Sequence[Dataset]) -> Sequence[Dataset]:
        """Return the committed instances that a report names."""
        absent = {item.ReferencedSOPInstanceUID for item in failed}
        return [item for item in named if item.ReferencedSOPInstanceUID not in absent]

    def _report(self, assoc: Any, asked: Dataset) -> None:
        known = {one.sop_instance_uid for one in self.stored}
        named = [
            item
            for item in asked.ReferencedSOPSequence
            if item.ReferencedSOPInstanceUID not in self._unnamed
        ]
        failed = [
            item
            for item in named
            if item.ReferencedSOPInstanceUID not in known
            or self._absent(item.ReferencedSOPInstanceUID)
        ]
        report = Dataset()
        report.TransactionUID = asked.TransactionUID
        report.ReferencedSOPSequence = self.committed(named, failed)
        if failed:
            for item in failed:
                item.FailureReason = NO_SUCH_INSTANCE
            report.FailedSOPSequence = failed
        assoc.send_n_event_report(
            report,
            WITH_FAILURES if failed else COMMITTED,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )


def _listed(identifier: Dataset) -> list[str]:
    """Return the SOP Instance UIDs in a query, or an empty list if the query matches all."""
    value = identifier.SOPInstanceUID or ()
    return [str(value)] if isinstance(value, str) else list(map(str, value))

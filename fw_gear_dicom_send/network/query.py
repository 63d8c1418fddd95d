"""Queries a DICOM server by C-FIND for the images that it has (PS3.4 annex C)."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from io import BytesIO

from pydicom import config as pydicom_config
from pydicom.dataset import Dataset
from pydicom.uid import UID, generate_uid
from pynetdicom.dsutils import encode
from pynetdicom.status import QR_FIND_SERVICE_CLASS_STATUS, code_to_category

from ..delivery.inquiry import Findings, by_series
from ..delivery.results import ImageReference
from ..delivery.sender import QueryError
from ..dicom.elements import ElementReader
from ..dicom.headers import Encoding, MalformedError
from ..dicom.uids import STUDY_ROOT_FIND
from ..reasons import Kind, Reason
from ..retry import DEFAULT_POLICY, RetryPolicy
from ..values import frozen
from . import dimse
from .association import MAX_USELESS_ANSWERS, StorageAssociation
from .contexts import Context
from .errors import AssociationError, LostAnswerError, NoAssociationError
from .inquiry import InquirySCU
from .pool import AssociationPool
from .statuses import describe
from .timeouts import DEFAULT_TIMEOUTS, Timeouts

MAX_LIST = 65_000
"""Bytes of UIDs in one query: a value in explicit VR has at most 65,534 (PS3.5 7.1.2)."""
MAX_ANSWERS = 100_000
"""Maximum number of images in an answer, more than any real series has."""
_OUT_OF_RESOURCES = 0xA700
_NOT_OFFERED = (0x0122, 0x0124, 0x0211)
"""SOP class not supported, not authorized, unrecognized operation (PS3.7 C.5)."""
_SOP_INSTANCE_UID = 0x00080018
_UID = re.compile(r"[^\\*?\s]+")

# pydicom would quote invalid values, such as UIDs, in its log.
pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE

_Series = tuple[str, str]
"""The Study and the Series Instance UID."""


@frozen
class _Answer:
    """SOP Instance UIDs that a peer found, and why it may have more matches; None if not."""

    uids: frozenset[str]
    failure: QueryError | None = None

    @property
    def is_late(self) -> bool:
        """Whether the time was over before the final response."""
        return self.failure is not None and self.failure.reason.kind is Kind.NO_ANSWER


def find(
    assoc: StorageAssociation, context: Context, identifier: Dataset, timeouts: Timeouts
) -> _Answer:
    """Return the images that match a query (PS3.7 9.1.2).

    The answer is late if the time is over after some matches. Raises QueryError for a failure
    status, except for one that means an incomplete answer. It also raises QueryError for an answer
    that cannot be decoded, has too many images, or repeats itself.
    """
    is_implicit = UID(context.transfer_syntax).is_implicit_VR
    request: dict[int, int | str] = {
        dimse.AFFECTED_SOP_CLASS_UID: context.abstract_syntax,
        dimse.COMMAND_FIELD: dimse.C_FIND_RQ,
        dimse.PRIORITY: dimse.MEDIUM_PRIORITY,
        dimse.COMMAND_DATA_SET_TYPE: dimse.HAS_DATASET,
    }
    encoded = encode(identifier, is_implicit, True) or b""
    response = assoc.ask(context, request, encoded, timeout=timeouts.find, takes_pending=True)
    uids: set[str] = set()
    failure, useless = None, 0
    while (status := dimse.number(response.command, dimse.STATUS) or 0) in dimse.PENDING:
        known = len(uids)
        if response.dataset and not failure:
            try:
                uids.add(_uid_in(response.dataset, is_implicit=is_implicit))
            except MalformedError:
                # The other responses to this query must still be read.
                failure = "the server's answer to a C-FIND cannot be decoded"
        useless += len(uids) == known
        if len(uids) > MAX_ANSWERS:
            failure = f"the server's answer to a C-FIND has more than {MAX_ANSWERS} images"
        elif useless > MAX_USELESS_ANSWERS + len(uids):
            failure = failure or "the server's answer to a C-FIND repeats itself"
        else:
            try:
                response = assoc.next_response(dimse.C_FIND_RQ)
            except LostAnswerError as exc:
                if uids and exc.reason.kind is Kind.NO_ANSWER:
                    return _Answer(frozenset(uids), QueryError(exc.reason))
                raise
            continue
        assoc.abort()
        break
    if failure:
        raise QueryError(Reason(Kind.QUERY_FAILED, failure))
    words = describe(status, QR_FIND_SERVICE_CLASS_STATUS)
    detail = f"the server answered the C-FIND with status {words}"
    reason = Reason(Kind.QUERY_FAILED, detail)
    if status in _NOT_OFFERED:
        reason = Reason(Kind.NOT_OFFERED, f"{FindSCU.service}: status {words}")
    error = QueryError(reason) if status else None
    if error and not _may_be_part(status):
        raise error
    return _Answer(frozenset(uids), error)


def _uid_in(identifier: bytes, *, is_implicit: bool) -> str:
    """Return the SOP Instance UID in an identifier. Raises MalformedError if it has none."""
    reader = ElementReader(BytesIO(identifier))
    encoding = reader.sniff(0, Encoding(implicit=is_implicit, little=True))
    found = ""
    for tag, _, value, end in reader.walk(0, encoding):
        if end > len(identifier):
            raise MalformedError("an element of the identifier is truncated")
        if tag == _SOP_INSTANCE_UID:
            found = reader.text(value, end)
    if not _UID.fullmatch(found):
        raise MalformedError("the identifier has no SOP Instance UID")
    return found


def _may_be_part(status: int) -> bool:
    """Return whether the matches before this final status are valid (PS3.4 C.4.1.1.4).

    For some of these statuses the peer may have more matches.
    """
    is_limit = status & 0xFF00 == _OUT_OF_RESOURCES
    return is_limit or code_to_category(status) in ("Cancel", "Warning")


class FindSCU(InquirySCU):
    """SCU of C-FIND, Study Root, that queries for images. Any thread may use it.

    It queries by lists of UIDs (PS3.4 C.2.2.2.2), or by series if the server does not support
    lists. The mutable state is whether it does, None while unknown.
    """

    abstract_syntax = STUDY_ROOT_FIND
    service = "C-FIND (Study Root)"
    _takes_lists: bool | None = None

    def __init__(
        self,
        pool: AssociationPool,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        shares_associations: bool = True,
        optional: bool = False,
        policy: RetryPolicy = DEFAULT_POLICY,
    ) -> None:
        """Use the associations of `pool`. `policy` has the waits of `present`."""
        super().__init__(
            pool,
            timeouts=timeouts,
            shares_associations=shares_associations,
            optional=optional,
        )
        self._policy = policy

    def present(self, study_instance_uid: str, series_instance_uid: str) -> frozenset[str]:
        """Return the SOP Instance UIDs of a series that the server reports.

        A failed query is retried twice. Raises QueryError if all tries fail without any match.
        After three such series in a row, no more queries are sent.
        """
        series = study_instance_uid, series_instance_uid
        if not all(map(_UID.fullmatch, series)):
            raise QueryError(Reason(Kind.NOT_QUERYABLE))
        return self._retried(self._policy, lambda: self._present(series))

    def _present(self, series: _Series) -> frozenset[str]:
        with self._lock:
            try:
                answer = self._find(series)
            except AssociationError as exc:
                raise QueryError(exc.reason) from exc
            if answer.failure and (answer.is_late or not answer.uids):
                raise answer.failure
            self._failures = 0
            return answer.uids

    def _probe(self, assoc: StorageAssociation, context: Context) -> None:
        """Query a series that cannot exist, with the keys of all levels (PS3.4 C.4.1.2.1)."""
        series = str(generate_uid()), str(generate_uid())
        find(assoc, context, _identifier(series), self._timeouts)

    def _can_name(self, image: ImageReference) -> bool:
        return all(map(_UID.fullmatch, (*image.series, image.sop_instance_uid)))

    def _groups(self, images: Sequence[ImageReference]) -> Iterator[list[ImageReference]]:
        for group in by_series(images):
            yield from _lists(group)

    def _request(self, images: Sequence[ImageReference], findings: Findings) -> None:
        """Query images of a series, and query again the images that an answer may omit."""
        series = images[0].series
        todo = [frozenset(image.sop_instance_uid for image in images)]
        while todo:
            asked = todo.pop()
            if len(asked) == 1:
                self._ask_for_one(series, asked, findings)
            elif self._takes_lists is False:
                todo += self._ask_by_series(series, asked, findings)
            else:
                todo += self._ask_by_list(series, asked, findings)

    def _ask_for_one(self, series: _Series, asked: frozenset[str], findings: Findings) -> None:
        answer = self._find(series, asked)
        findings.verified |= asked & answer.uids
        if answer.failure and (answer.is_late or not asked <= answer.uids):
            raise answer.failure
        findings.absent |= asked - answer.uids

    def _ask_by_list(
        self, series: _Series, asked: frozenset[str], findings: Findings
    ) -> list[frozenset[str]]:
        """Query a list of images; return the lists to query next."""
        try:
            answer = self._find(series, asked)
        except (QueryError, AssociationError) as exc:
            is_gone = isinstance(exc, NoAssociationError) or exc.reason.kind is Kind.NOT_OFFERED
            if self._takes_lists or is_gone:
                raise
            self._takes_lists = False
            return self._ask_by_series(series, asked, findings)
        found = answer.uids & asked
        rest = asked - found
        findings.verified |= found
        if answer.failure and answer.is_late:
            raise answer.failure
        if answer.uids - asked:
            self._takes_lists = False
        elif len(found) > 1:
            self._takes_lists = True
        if not rest:
            return []
        if found:
            # A server that limits its answers allows about as many as it found.
            return _parts(rest, len(found) if answer.failure else len(rest))
        if answer.failure:
            if len(rest) == 2 and not self._takes_lists:  # the shortest list
                self._takes_lists = False
            return _parts(rest, -(-len(rest) // 2))
        if not self._takes_lists:
            return self._ask_by_series(series, rest, findings)
        findings.absent |= rest
        return []

    def _ask_by_series(
        self, series: _Series, asked: frozenset[str], findings: Findings
    ) -> list[frozenset[str]]:
        """Query all images of a series; return the images that the answer may omit, one by one."""
        answer = self._find(series)
        found = answer.uids & asked
        findings.verified |= found
        if answer.failure and answer.is_late:
            raise answer.failure
        if found:
            self._takes_lists = False
        if answer.uids or answer.failure:
            return _parts(asked - found, 1)
        findings.absent |= asked
        return []

    def _find(self, series: _Series, uids: Collection[str] = ()) -> _Answer:
        """Query images of a series, or all of it. Raises QueryError or AssociationError."""
        identifier = _identifier(series, uids)
        return self._ask(lambda assoc, context: find(assoc, context, identifier, self._timeouts))


def _identifier(series: _Series, uids: Collection[str] = ()) -> Dataset:
    """Return a query for images of a series, or all of it, with the unique keys of all levels."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID, identifier.SeriesInstanceUID = series
    identifier.SOPInstanceUID = sorted(uids) or ""
    return identifier


def _lists(images: Iterable[ImageReference]) -> Iterator[list[ImageReference]]:
    """Yield lists of images whose UIDs fit into one value."""
    fitting: list[ImageReference] = []
    room = MAX_LIST
    for image in images:
        size = len(image.sop_instance_uid) + 1
        if size > room:
            yield fitting
            fitting, room = [], MAX_LIST
        fitting.append(image)
        room -= size
    if fitting:
        yield fitting


def _parts(uids: frozenset[str], size: int) -> list[frozenset[str]]:
    """Return UIDs in sets of at most `size`."""
    known = sorted(uids)
    return [frozenset(known[start : start + size]) for start in range(0, len(known), size)]

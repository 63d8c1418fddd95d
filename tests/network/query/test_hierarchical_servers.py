"""A server may support only hierarchical queries, and no list of UIDs (PS3.4 C.4.1.3.1)."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt

from fw_gear_dicom_send.delivery.results import Verification
from tests.support.matching import NOT_OF_THIS_CLASS
from tests.support.pacs import PythonSCP
from tests.support.querying import find_scu
from tests.support.series import OTHER, SERIES, STUDY, reference, uids

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STORED = {SERIES: uids(0, 1, 2), OTHER: uids(3)}
ABORT = None


@contextmanager
def hierarchical(failure: int | None) -> Iterator[tuple[PythonSCP, list[Dataset]]]:
    """Yield a server that fails other queries by a status or an abort, and its queries."""
    queries: list[Dataset] = []

    def find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        query = event.identifier
        queries.append(query)
        wanted = query.get("SOPInstanceUID") or ""
        is_single = isinstance(wanted, str)
        keys = query.get("StudyInstanceUID"), query.get("SeriesInstanceUID")
        if not (is_single and all(keys) and query.QueryRetrieveLevel == "IMAGE"):
            if failure is ABORT:
                event.assoc.abort()
            else:
                yield failure, None
            return
        stored = STORED.get(keys[1], frozenset()) if keys[0] == STUDY else frozenset()
        for uid in sorted(uid for uid in stored if wanted in ("", uid)):
            match = Dataset()
            match.SOPInstanceUID = uid
            yield 0xFF00, match
        yield 0x0000, None

    server = PythonSCP(handlers=[(evt.EVT_C_FIND, find)])
    server.ae.add_supported_context(FIND)
    with server:
        yield server, queries


@pytest.mark.parametrize("failure", [ABORT, NOT_OF_THIS_CLASS, 0xA700, 0xC000, 0x0000])
def test_a_hierarchical_server_finds_all(failure: int | None) -> None:
    """The keys of all levels are in each query, and a series is queried instead of a list."""
    asked = [reference(n) for n in (0, 1, 7)] + [reference(n, OTHER) for n in (3, 8)]
    with hierarchical(failure) as (server, queries):
        scu = find_scu(server)
        assert scu.present(STUDY, SERIES) == uids(0, 1, 2)
        for _ in range(2):
            assert scu.verify(asked) == Verification(uids(0, 1, 3), uids(7, 8))
        assert scu.given_up is None
    lists = [query for query in queries if not isinstance(query.SOPInstanceUID or "", str)]
    assert len(lists) <= 2


def test_a_server_out_of_resources_for_any_list_costs_few_queries() -> None:
    """The lists are halved only until the shortest one fails."""
    with hierarchical(0xA700) as (server, queries):
        answer = find_scu(server).verify([reference(n) for n in range(64)])
        assert (answer.verified, len(answer.absent)) == (uids(0, 1, 2), 61)
    lists = [query for query in queries if not isinstance(query.SOPInstanceUID or "", str)]
    assert len(lists) == 6

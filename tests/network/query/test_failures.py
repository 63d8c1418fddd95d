"""A failed query affects only its own images; three in a row end the queries."""

from collections.abc import Iterator

import pytest
from pynetdicom import evt

from fw_gear_dicom_send.delivery.results import ImageReference
from fw_gear_dicom_send.delivery.sender import QueryError
from fw_gear_dicom_send.network.timeouts import Timeouts
from fw_gear_dicom_send.reasons import Kind
from tests.support import wording
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.pacs import PythonSCP
from tests.support.peers import peer_of
from tests.support.querying import find_scu
from tests.support.series import CT, STUDY

REFUSED = 0xC000
FIND = "1.2.840.10008.5.1.4.1.2.2.1"


class Archive(PythonSCP):
    """SCP that rejects queries for some series, and has all images of the others."""

    def __init__(self, *refused: str) -> None:
        super().__init__(handlers=[(evt.EVT_C_FIND, self._find)])
        self.ae.add_supported_context(FIND)
        self.asked: list[str] = []
        self._refused = refused

    def _find(self, event: evt.Event) -> Iterator[tuple[int, object]]:
        query = event.identifier
        self.asked.append(query.SeriesInstanceUID)
        if query.SeriesInstanceUID in self._refused:
            yield REFUSED, None
            return
        yield 0xFF00, query
        yield 0x0000, None


def references(*series: int) -> list[ImageReference]:
    """Return an image of each series."""
    return [ImageReference(CT, f"1.2.{n}.1", STUDY, f"1.2.{n}") for n in series]


def uids(*series: int) -> set[str]:
    return {f"1.2.{n}.1" for n in series}


def test_a_failed_query_costs_its_own_images() -> None:
    """The others are verified over the same association and in the same call."""
    with Archive("1.2.2", "1.2.3") as server:
        find = find_scu(server)
        answer = find.verify(references(1, 2, 3, 4))
        assert len(server.associations) == 1
    assert answer.verified == uids(1, 4)
    assert answer.absent == frozenset()
    assert answer.unknown.keys() == uids(2, 3)
    text = f"{wording.FIND_FAILED} 0xC000 Unable to Process"
    assert {reason.text for reason in answer.unknown.values()} == {text}
    assert find.given_up is None


def test_three_failures_in_a_row_end_the_queries() -> None:
    """The images of the remaining queries are unknown for the same reason."""
    with Archive("1.2.2", "1.2.3", "1.2.4") as server:
        find = find_scu(server)
        answer = find.verify(references(1, 2, 3, 4, 5))
        again = find.verify(references(1))
        assert server.asked == ["1.2.1", "1.2.2", "1.2.3", "1.2.4"]
    assert answer.verified == uids(1)
    assert answer.unknown.keys() == uids(2, 3, 4, 5)
    assert find.given_up == answer.unknown["1.2.5.1"] == again.unknown["1.2.1.1"]


def test_failures_with_a_success_in_between_do_not_end_the_queries() -> None:
    """A success resets the count, also between calls."""
    with Archive("1.2.1", "1.2.2") as server:
        find = find_scu(server)
        for _ in range(3):
            assert find.verify(references(1, 2, 3)).verified == uids(3)
    assert len(server.asked) == 9


def test_an_unanswered_query_for_a_series_is_not_retried() -> None:
    """Each try would take the whole timeout."""

    def script(peer: Peer) -> None:
        peer.accept(refused=())
        peer.read_query()
        peer.read_to_end()

    with FaultSCP(script) as server:
        with pytest.raises(QueryError) as caught:
            find_scu(peer_of(server), Timeouts(find=0.2)).present(STUDY, "1.2.1")
        assert server.connections == 1
    assert caught.value.reason.kind is Kind.NO_ANSWER


def test_images_on_a_lost_server_are_unknown() -> None:
    """A failed connection is a failed query and nothing worse."""
    with Archive() as server:
        peer = peer_of(server, server.ae_title)
    find = find_scu(peer)
    answer = find.verify(references(1, 2))
    assert {reason.kind.code for reason in answer.unknown.values()} == {"server-unreachable"}
    assert find.given_up is None

"""A server without a service that the run needs fails the check."""

from collections.abc import Callable

import pytest
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
)

from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.timeouts import Timeouts
from fw_gear_dicom_send.network.transport import Transport
from tests.support import wording
from tests.support.archive_scp import ArchiveSCP
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.pacs import DcmQRSCP, Orthanc, PythonSCP, StoreSCP
from tests.support.peers import Server, peer_of
from tests.support.pool import SHORT_WAITS
from tests.support.querying import query_answer
from tests.support.sending import unconverted
from tests.support.waiting import LONG_TIMEOUTS

FIND = str(StudyRootQueryRetrieveInformationModelFind)
QUIET = Timeouts(find=0.2)


def check(
    server: Server,
    *methods: str,
    query_server: Server | None = None,
    timeouts: Timeouts = LONG_TIMEOUTS,
) -> None:
    """Check a server for a run that queries it by these methods."""
    scu = StorageSCU(
        peer_of(server, getattr(server, "ae_title", "CALLED")),
        unconverted,
        transport=Transport(timeouts=timeouts),
        policy=SHORT_WAITS,
        query_peer=query_server and peer_of(query_server),
        queries=methods,
    )
    scu.check()
    scu.close()


def refusal(server: Server, *methods: str, timeouts: Timeouts = LONG_TIMEOUTS) -> str:
    """Return why a server fails the check, after the name of the server."""
    with pytest.raises(ServerError) as caught:
        check(server, *methods, timeouts=timeouts)
    words = str(caught.value)
    assert f"127.0.0.1 port {server.port}: " in words
    return words.partition(f"port {server.port}: ")[2]


def aborts(peer: Peer) -> None:
    """Abort at the first query, as Orthanc does for an unknown AE title."""
    peer.accept(refused=())
    peer.read_query()
    peer.abort()


def is_silent(peer: Peer) -> None:
    """Answer no query."""
    peer.accept(refused=())
    peer.read_query()
    peer.read_to_end()


def answers(peer: Peer) -> None:
    """Find nothing."""
    peer.accept(refused=())
    peer.socket.sendall(query_answer(peer.read_query(), 0))
    peer.read_to_end()


def test_a_server_with_both_services_passes() -> None:
    """The check is one association with one query, and no commitment is requested."""
    with ArchiveSCP() as server:
        check(server, "find", "commit")
        (query,) = server.queries
        assert len(server.associations) == server.released == 1
        assert server.commitments == []
    assert query.QueryRetrieveLevel == "IMAGE"
    assert query.StudyInstanceUID
    assert query.SeriesInstanceUID
    assert not query.SOPInstanceUID


def test_a_run_without_queries_needs_no_service(storescp: StoreSCP) -> None:
    """Nothing but a C-ECHO is sent."""
    check(storescp)
    with ArchiveSCP() as server:
        check(server)
        assert server.queries == []
        assert not any(one.abstract_syntax == FIND for one in server.associations[0].contexts)


@pytest.mark.parametrize(
    ("method", "service"),
    [("find", wording.STUDY_ROOT), ("commit", "storage commitment requests")],
)
def test_storescp_has_no_service(storescp: StoreSCP, method: str, service: str) -> None:
    """The error names the service, and what to do."""
    words = refusal(storescp, method)
    assert words.startswith(f"{wording.NOT_SUPPORTED} {service}: ")
    assert all(word in words for word in ("DicomModalities", "query_ae", "query_port", "verify"))


def test_dcmqrscp_only_answers_queries() -> None:
    """Both services are checked."""
    with DcmQRSCP() as server:
        check(server, "find")
        assert "storage commitment requests" in refusal(server, "find", "commit")


def test_orthanc_needs_the_calling_ae() -> None:
    """It accepts the context of an unknown AE title, and ends the association at a query."""
    with Orthanc(DicomAlwaysAllowFind=False) as server:
        words = refusal(server, "find")
        assert words.startswith(wording.CONNECTION_LOST)
        assert "it does not know calling_ae" in words
    known = {"sender": ["CALLING", "127.0.0.1", 104]}
    with Orthanc(DicomAlwaysAllowFind=False, DicomModalities=known) as server:
        check(server, "find", "commit")


def test_a_lost_association_is_no_refusal() -> None:
    """The query is sent again, over another association."""
    with FaultSCP(aborts, answers) as server:
        check(server, "find")
        assert server.connections == 2


def test_a_server_that_aborts_at_each_query_fails() -> None:
    """It gets two queries."""
    with FaultSCP(aborts) as server:
        assert refusal(server, "find").startswith(wording.CONNECTION_LOST)
        assert server.connections == 2


def test_a_server_that_answers_no_query_fails() -> None:
    """The timeout for queries ends each try."""
    with FaultSCP(is_silent) as server:
        assert refusal(server, "find", timeouts=QUIET).startswith(wording.NO_ANSWER_WITHIN)


def test_a_service_may_need_an_association_of_its_own() -> None:
    """A context that is rejected together with others is proposed alone."""

    def script(peer: Peer) -> None:
        peer.accept(refused=[FIND] if peer.number == 1 else [])
        peer.socket.sendall(query_answer(peer.read_query(), 0))
        peer.read_to_end()

    with FaultSCP(script) as server:
        check(server, "find")
        assert server.connections == 2


@pytest.mark.parametrize("refuses", [Peer.abort, Peer.close, lambda peer: peer.reject(1, 1, 1)])
def test_a_server_may_refuse_an_association_with_services(
    refuses: Callable[[Peer], None],
) -> None:
    """The error does not blame the AE titles: without services, the server accepts one."""

    def script(peer: Peer) -> None:
        if peer.read_request() > 2:
            refuses(peer)
        else:
            peer.accept()
            peer.read_to_end()

    with FaultSCP(script) as server:
        words = refusal(server, "find", "commit")
        assert server.connections == 2
        assert all(word in words for word in ("query_ae", "verify", "skip_existing"))
    with FaultSCP(refuses) as server:
        with pytest.raises(ServerError) as caught:
            check(server, "find")
        assert "query_ae" not in str(caught.value)


@pytest.mark.parametrize("status", [0x0122, 0x0124, 0x0211])
def test_a_status_may_mean_that_there_is_no_service(status: int) -> None:
    """These are: SOP class not supported, not authorized, unrecognized operation (PS3.7 C.5)."""
    with ArchiveSCP(find_status=status) as server:
        assert f"0x{status:04X}" in refusal(server, "find")


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC000, 0xFE00])
def test_another_status_is_no_refusal(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Some servers fail a query for an unknown study only."""
    with ArchiveSCP(find_status=status) as server:
        check(server, "find")
        assert len(server.queries) == 1
    assert len(caplog.records) <= 1


def test_only_the_query_ae_needs_the_services(storescp: StoreSCP) -> None:
    """The server for images gets no query."""
    with ArchiveSCP() as server:
        check(storescp, "find", "commit", query_server=server)
        assert len(server.queries) == 1
        with pytest.raises(ServerError, match="Cannot use"):
            check(server, "find", query_server=storescp)


def test_a_server_without_c_echo_has_queries() -> None:
    """The query does not depend on the C-ECHO."""
    server = ArchiveSCP()
    server.ae.remove_supported_context("1.2.840.10008.1.1")
    with server:
        check(server, "find")
        assert len(server.queries) == 1


def test_a_server_that_stores_only_has_no_queries() -> None:
    """The refused context costs a second association."""
    with PythonSCP() as server:
        assert wording.STUDY_ROOT in refusal(server, "find")
        assert len(server.associations) == 2

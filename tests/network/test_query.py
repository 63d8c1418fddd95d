"""Asking servers what they have: by C-FIND, and by storage commitment."""

import time
from collections.abc import Callable, Iterator
from threading import Timer

import backoff
import pytest
from pynetdicom import evt

from fw_gear_dicom_send.dicom.types import SOPInstance, Unreadable
from fw_gear_dicom_send.network import query as query_scu
from fw_gear_dicom_send.network.query import CommitmentSCU, FindSCU, QueryError
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.types import ImageReference, PeerAE
from fw_gear_dicom_send.run.already_stored import Existing
from tests.support.archive_scp import ArchiveSCP
from tests.support.fault_scp import FaultSCP
from tests.support.instances import made_instance
from tests.support.pacs import DcmQRSCP, Orthanc, PythonSCP, StoreSCP

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY, SERIES, OTHER = "1.2.3.10", "1.2.3.11", "1.2.3.12"


def peer_of(server: Orthanc | DcmQRSCP | PythonSCP | StoreSCP | FaultSCP) -> PeerAE:
    return PeerAE("127.0.0.1", server.port, getattr(server, "ae_title", "PACS"), "CALLING")


def image(number: int, series: str = SERIES) -> SOPInstance:
    return made_instance(number, StudyInstanceUID=STUDY, SeriesInstanceUID=series)


def reference(number: int, series: str = SERIES) -> ImageReference:
    return ImageReference(CT, image(number).sop_instance_uid, STUDY, series)


def uids(*numbers: int) -> frozenset[str]:
    return frozenset(image(number).sop_instance_uid for number in numbers)


def store(server: Orthanc | DcmQRSCP | PythonSCP, *images: SOPInstance) -> None:
    scu = StorageSCU(peer_of(server), lambda *_: Unreadable(""), retry_time=0)
    assert all(scu.send(one).sent for one in images)
    scu.close()


@pytest.fixture(params=[Orthanc, DcmQRSCP, ArchiveSCP])
def archive(request: pytest.FixtureRequest) -> Iterator[Orthanc | DcmQRSCP | ArchiveSCP]:
    """A server that has two series."""
    with request.param() as server:
        store(server, *(image(n) for n in range(3)), image(3, OTHER))
        yield server


def test_a_series_is_found(archive: Orthanc | DcmQRSCP | ArchiveSCP) -> None:
    """The answer has the instances of the series that the server has, and no others."""
    find = FindSCU(peer_of(archive))
    wanted = uids(0, 1, 2) if not isinstance(archive, ArchiveSCP) else uids(0, 1, 2, 3)
    assert find.present(STUDY, SERIES) == wanted
    asked = [reference(n) for n in (0, 1, 2, 7)] + [reference(3, OTHER), reference(8, OTHER)]
    assert find.missing(asked) == uids(7, 8)


@pytest.mark.parametrize("kind", [Orthanc, DcmQRSCP])
def test_a_series_that_is_not_there_is_empty(kind: type[Orthanc] | type[DcmQRSCP]) -> None:
    """An unknown series is no error."""
    with kind() as server:
        find = FindSCU(peer_of(server))
        assert find.present(STUDY, SERIES) == frozenset()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (FindSCU, "the server does not offer queries by C-FIND (Study Root)"),
        (CommitmentSCU, "the server does not offer storage commitment"),
    ],
)
def test_a_server_without_the_service_says_so(
    kind: type[FindSCU] | type[CommitmentSCU], told: str, storescp: StoreSCP
) -> None:
    """A plain storage server is asked once, and told to be one."""
    scu = kind(peer_of(storescp))
    with pytest.raises(QueryError) as caught:
        scu.missing([reference(1)])
    assert str(caught.value) == told


def test_a_query_that_fails_says_its_status() -> None:
    """The status of the server is told, and the association is good for another query."""
    with ArchiveSCP(find_status=0xA700) as server:
        find = FindSCU(peer_of(server))
        for _ in range(2):
            with pytest.raises(QueryError, match=r"^the server answers a C-FIND with .* 0xA700 "):
                find.present(STUDY, SERIES)
        assert server.released == len(server.associations) == 2


def test_several_series_are_asked_for_over_one_association() -> None:
    """It is released when all is known, as a server may give only a few."""
    with ArchiveSCP() as server:
        find = FindSCU(peer_of(server))
        find.missing([reference(1), reference(2, OTHER), reference(3, "1.2.9")])
        assert len(server.queries) == 3
        assert server.released == len(server.associations) == 1


def test_an_association_that_is_lost_is_opened_anew() -> None:
    """A query that loses it fails; the next one has another."""
    queries = []

    def lose_first(event: evt.Event) -> Iterator[tuple[int, None]]:
        queries.append(1)
        if len(queries) == 1:
            event.assoc.abort()
        yield 0x0000, None

    with _with_find(lose_first) as server:
        find = FindSCU(peer_of(server))
        with pytest.raises(QueryError, match="lost"):
            find.present(STUDY, SERIES)
        assert find.present(STUDY, SERIES) == frozenset()
        assert len(server.associations) == 2


def _with_find(handler: Callable[[evt.Event], Iterator[tuple[int, None]]]) -> PythonSCP:
    server = PythonSCP(handlers=[(evt.EVT_C_FIND, handler)])
    server.ae.add_supported_context("1.2.840.10008.5.1.4.1.2.2.1")
    return server


def test_a_server_that_is_not_there_is_told() -> None:
    """No connection is a query that fails, and nothing worse."""
    with ArchiveSCP() as server:
        peer = peer_of(server)
    find = FindSCU(peer)
    with pytest.raises(QueryError, match="cannot connect"):
        find.present(STUDY, SERIES)


# Storage commitment


def test_what_is_committed_is_not_missing() -> None:
    """Of many images those are missing that the report calls failed, in several requests."""
    bad = next(iter(uids(5)))
    with ArchiveSCP(lambda uid: uid == bad) as server:
        store(server, *(image(n) for n in range(8)))
        with pytest.MonkeyPatch.context() as patch:
            scu = CommitmentSCU(peer_of(server))
            patch.setattr(query_scu, "MOST_REFERENCES", 3)
            assert scu.missing([reference(n) for n in range(10)]) == uids(5, 8, 9)
        assert [len(one.ReferencedSOPSequence) for one in server.commitments] == [3, 3, 3, 1]
        assert len({one.TransactionUID for one in server.commitments}) == 4


def test_a_report_that_does_not_come_here_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A gear cannot be connected to: what is reported elsewhere is not known."""
    monkeypatch.setattr(query_scu, "COMMITMENT_TIMEOUT", 0.5)
    with ArchiveSCP(reports=False) as server:
        scu = CommitmentSCU(peer_of(server))
        begun = time.monotonic()
        with pytest.raises(QueryError, match="did not report a storage commitment on the same"):
            scu.missing([reference(1)])
        assert time.monotonic() - begun < 5


def test_orthanc_reports_elsewhere(monkeypatch: pytest.MonkeyPatch, orthanc: Orthanc) -> None:
    """Orthanc takes the request, and would open an association of its own for the report."""
    monkeypatch.setattr(query_scu, "COMMITMENT_TIMEOUT", 1)
    store(orthanc, image(1))
    scu = CommitmentSCU(peer_of(orthanc))
    with pytest.raises(QueryError):
        scu.missing([reference(1)])


def test_a_commitment_that_is_refused_says_its_status() -> None:
    """The status of the server is told."""
    with ArchiveSCP(action_status=0x0110) as server, pytest.raises(QueryError) as caught:
        CommitmentSCU(peer_of(server)).missing([reference(1)])
    assert str(caught.value) == "the server refuses storage commitment with status 0x0110"


# What is there already


def test_a_series_is_asked_for_once() -> None:
    """Each image after the first costs no query, until very many series are in between."""
    with ArchiveSCP() as server:
        find = FindSCU(peer_of(server))
        store(server, image(0), image(1))
        existing = Existing(find)
        assert [existing.has(image(n)) for n in (0, 1, 2)] == [True, True, False]
        assert len(server.queries) == 1
        (query,) = server.queries
        assert (query.StudyInstanceUID, query.SeriesInstanceUID) == (STUDY, SERIES)
        assert query.QueryRetrieveLevel == "IMAGE"
        for number in range(64):
            existing.has(image(0, f"1.2.9.{number}"))
        assert len(server.queries) == 65
        existing.has(image(0))
        assert len(server.queries) == 66


def test_an_image_without_study_or_series_is_not_asked_for() -> None:
    """A query without them would be answered for all studies."""
    with ArchiveSCP() as server:
        find = FindSCU(peer_of(server))
        store(server, made_instance(1))
        nameless = image(1)
        existing = Existing(find)
        for missing in ("study_instance_uid", "series_instance_uid"):
            values = vars(nameless) | {missing: ""}
            assert not existing.has(SOPInstance(**values))
        assert server.queries == []


def test_a_server_that_does_not_tell_has_nothing(
    caplog: pytest.LogCaptureFixture, storescp: StoreSCP
) -> None:
    """It is told once, and asked once."""
    find = FindSCU(peer_of(storescp))
    existing = Existing(find)
    assert not any(existing.has(image(0, f"1.2.9.{n}")) for n in range(3))
    assert caplog.messages == [
        "All images are sent, whether they are there or not: the server does not offer queries by "
        "C-FIND (Study Root)"
    ]


# A server at its limit


def test_a_server_that_is_slow_to_forget_is_asked_again() -> None:
    """The association that made room may still count when the query asks for its own."""
    with ArchiveSCP() as server:
        server.ae.maximum_associations = 1
        scu = StorageSCU(peer_of(server), lambda *_: Unreadable(""))
        assert scu.send(image(0)).sent
        Timer(0.5, scu.close).start()
        find = FindSCU(peer_of(server))
        assert find.present(STUDY, SERIES) == uids(0)


def test_a_server_that_stays_at_its_limit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few tries nothing is known of what it has."""
    monkeypatch.setattr(backoff, "full_jitter", lambda _: 0.0)
    with FaultSCP(lambda peer: peer.reject(2, 3, 2)) as server:
        find = FindSCU(peer_of(server))
        with pytest.raises(QueryError, match="limit of assoc"):
            find.present(STUDY, SERIES)
        assert server.connections == 5

"""C-FIND returns the instances of a series on a server."""

from collections.abc import Callable, Iterator

import pytest
from pynetdicom import evt

from fw_gear_dicom_send.delivery.results import Verification
from fw_gear_dicom_send.delivery.sender import QueryError
from fw_gear_dicom_send.network.commitment import CommitmentSCU
from fw_gear_dicom_send.network.query import FindSCU
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import wording
from tests.support.archive_scp import ArchiveSCP
from tests.support.pacs import DcmQRSCP, Orthanc, PythonSCP, StoreSCP
from tests.support.peers import peer_of
from tests.support.querying import find_scu, query_pool
from tests.support.series import OTHER, SERIES, STUDY, image, reference, store, uids


@pytest.fixture(params=[Orthanc, DcmQRSCP, ArchiveSCP])
def archive(request: pytest.FixtureRequest) -> Iterator[Orthanc | DcmQRSCP | ArchiveSCP]:
    """SCP that has two series."""
    with request.param() as server:
        store(server, *(image(n) for n in range(3)), image(3, OTHER))
        yield server


def test_a_series_is_found(archive: Orthanc | DcmQRSCP | ArchiveSCP) -> None:
    """The result has exactly the instances of the series on the server."""
    find = find_scu(archive)
    wanted = uids(0, 1, 2) if not isinstance(archive, ArchiveSCP) else uids(0, 1, 2, 3)
    assert find.present(STUDY, SERIES) == wanted
    asked = [reference(n) for n in (0, 1, 2, 7)] + [reference(3, OTHER), reference(8, OTHER)]
    assert find.verify(asked) == Verification(uids(0, 1, 2, 3), uids(7, 8))


@pytest.mark.parametrize("kind", [Orthanc, DcmQRSCP])
def test_a_missing_series_is_empty(kind: type[Orthanc] | type[DcmQRSCP]) -> None:
    """An unknown series is not an error."""
    with kind() as server:
        find = find_scu(server)
        assert find.present(STUDY, SERIES) == frozenset()


@pytest.mark.parametrize(
    ("kind", "service"),
    [
        (FindSCU, wording.STUDY_ROOT),
        (CommitmentSCU, "storage commitment requests"),
    ],
)
def test_a_server_without_the_service(
    kind: type[FindSCU] | type[CommitmentSCU], service: str, storescp: StoreSCP
) -> None:
    """The images are unknown, and the server gets no more queries."""
    scu = kind(query_pool(storescp))
    assert scu.given_up is None
    reason = Reason(Kind.NOT_OFFERED, service)
    (uid,) = uids(1)
    assert scu.verify([reference(1)]) == Verification(unknown={uid: reason})
    assert scu.given_up == reason
    assert reason.text == f"{wording.NOT_SUPPORTED} {service}"


def test_a_failed_query_shows_its_status() -> None:
    """The error has the server's status, and another query can follow."""
    with ArchiveSCP(find_status=0xA700) as server:
        find = find_scu(server)
        for _ in range(2):
            with pytest.raises(
                QueryError, match=r"^the server answered the C-FIND with .* 0xA700 "
            ):
                find.present(STUDY, SERIES)
        assert len(server.queries) == 6
        assert len(server.associations) == 1


def test_several_series_are_queried_over_one_association() -> None:
    """The association of the first query is used for the others."""
    with ArchiveSCP() as server:
        find = find_scu(server)
        find.verify([reference(1), reference(2, OTHER), reference(3, "1.2.9")])
        assert len(server.queries) == 3
        assert len(server.associations) == 1


def test_a_lost_association_is_replaced() -> None:
    """The query that loses it is retried over a new association."""
    queries = []

    def lose_first(event: evt.Event) -> Iterator[tuple[int, None]]:
        queries.append(1)
        if len(queries) == 1:
            event.assoc.abort()
        yield 0x0000, None

    with server_with_find(lose_first) as server:
        find = find_scu(server)
        assert find.present(STUDY, SERIES) == frozenset()
        assert len(queries) == len(server.associations) == 2


def server_with_find(handler: Callable[[evt.Event], Iterator[tuple[int, None]]]) -> PythonSCP:
    server = PythonSCP(handlers=[(evt.EVT_C_FIND, handler)])
    server.ae.add_supported_context("1.2.840.10008.5.1.4.1.2.2.1")
    return server


def test_a_query_to_a_missing_server_fails() -> None:
    """A failed connection is a failed query and nothing worse."""
    with ArchiveSCP() as server:
        peer = peer_of(server, server.ae_title)
    find = find_scu(peer)
    with pytest.raises(QueryError, match="cannot connect"):
        find.present(STUDY, SERIES)

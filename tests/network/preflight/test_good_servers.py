"""A server that accepts an association passes the check."""

from collections.abc import Callable

import pytest
from pynetdicom import evt

from fw_gear_dicom_send.network.preflight import check
from tests.support.fault_scp import MAXIMUM_LENGTH, PDU, FaultSCP, Peer
from tests.support.pacs import Orthanc, PythonSCP, StoreSCP
from tests.support.peers import peer_of

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


def test_a_server_is_verified_and_released() -> None:
    """The check is one association, one C-ECHO and one release; no image is sent."""
    echoes: list[object] = []
    handlers = [(evt.EVT_C_ECHO, lambda event: (echoes.append(event), 0x0000)[1])]
    with PythonSCP(handlers=handlers) as server:
        check(peer_of(server))
        assert (len(server.associations), server.released, server.aborted) == (1, 1, 0)
        (request,) = server.associations
        assert (request.called_ae, request.calling_ae) == ("CALLED", "CALLING")
        assert len(echoes) == 1
        assert server.stored == ()


def test_orthanc_and_storescp_pass(
    orthanc: Orthanc, storescp: StoreSCP, caplog: pytest.LogCaptureFixture
) -> None:
    """Real servers pass without a log line."""
    check(peer_of(orthanc))
    check(peer_of(storescp))
    assert caplog.records == []


def test_a_server_without_verification_passes(caplog: pytest.LogCaptureFixture) -> None:
    """A server that accepts the association but not C-ECHO can be used, and gets no C-ECHO."""
    server = PythonSCP({CT: [EXPLICIT]})
    server.ae.remove_supported_context("1.2.840.10008.1.1")
    with server:
        check(peer_of(server))
        assert len(server.associations) == 1
    assert caplog.records == []


def test_a_status_of_the_echo_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A server that rejects the C-ECHO may still accept images."""
    with PythonSCP(handlers=[(evt.EVT_C_ECHO, lambda _: 0x0122)]) as server:
        check(peer_of(server))
        assert server.released == 1
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == "The server answered the C-ECHO with status 0x0122"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"PACS 1.0", "PACS 1.0"),
        (b"A\x1b[2J\nB", r"A\x1b[2J\nB"),
        (rb"A\B", r"A\B"),
        (b"caf\xe9", "café"),
        (b"N" * 100, "N" * 64),
        (b" ", "1.2.3.4"),
    ],
)
def test_a_server_may_have_any_implementation_name(
    name: bytes, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its implementation name is shown as text of at most 64 characters."""

    def script(peer: Peer) -> None:
        peer.accept(implementation=name)
        peer.read_command()

    with FaultSCP(script) as server:
        assert check(peer_of(server)).implementation == shown
    assert caplog.records == []


@pytest.mark.parametrize("limit", [None, 0, 1, 16, MAXIMUM_LENGTH])
def test_an_echo_fits_the_servers_limit(limit: int | None) -> None:
    """The request respects the server's maximum PDU length (PS3.8 D.1)."""
    bodies: list[int] = []

    def script(peer: Peer) -> None:
        peer.accept(limit)
        peer.read_pdu = counting(peer.read_pdu, bodies)
        peer.read_command()

    with FaultSCP(script) as server:
        check(peer_of(server))
        assert server.ends == ["released"]
    assert max(bodies) <= max(limit or MAXIMUM_LENGTH, 16)


@pytest.mark.parametrize(
    ("limit", "max_pdu_length"), [(None, 0), (0, 0), (MAXIMUM_LENGTH, MAXIMUM_LENGTH)]
)
def test_the_check_returns_the_properties_of_the_server(
    limit: int | None, max_pdu_length: int
) -> None:
    """These are its implementation, its maximum PDU length and its answer to C-ECHO."""

    def script(peer: Peer) -> None:
        peer.accept(limit)
        peer.read_command()

    with FaultSCP(script) as server:
        server_info = check(peer_of(server))
    assert (server_info.implementation, server_info.max_pdu_length) == ("1.2.3.4", max_pdu_length)
    assert (server_info.tls, server_info.echo_status) == (None, 0x0000)
    assert server_info.echo_seconds > 0


def counting(read: Callable[[], PDU], bodies: list[int]) -> Callable[[], PDU]:
    def read_and_count() -> PDU:
        pdu = read()
        bodies.append(len(pdu.body))
        return pdu

    return read_and_count

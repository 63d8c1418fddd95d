"""Servers receive the user identity with every association, and may confirm or reject it."""

from collections.abc import Callable

import pytest
from pynetdicom import evt

from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.network import preflight
from fw_gear_dicom_send.network.contexts import storage_contexts
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.types import IdentityType, PeerAE, UserIdentity
from fw_gear_dicom_send.values import replace
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.instances import made_instance
from tests.support.pacs import Orthanc, PythonSCP, StoreSCP
from tests.support.peers import peer_of
from tests.support.querying import commitment_scu, find_scu
from tests.support.results import SENT, outcomes
from tests.support.sending import send_all, unconverted
from tests.support.series import reference
from tests.support.servers.dcmjs import DcmjsSCP

ALICE = UserIdentity(IdentityType.USERNAME_AND_PASSCODE, b"alice", b"hunter2")
MAY_BE_REFUSED = "; it may not accept the user identity"

Seen = list[tuple[int, bytes, bytes | None]]


def identified(peer: PeerAE) -> PeerAE:
    """Return a server that receives our identity."""
    return replace(peer, identity=ALICE)


def noting(
    seen: Seen, answer: tuple[bool, bytes | None]
) -> tuple[evt.EventType, Callable[[evt.Event], object]]:
    """Return a pynetdicom handler that records identities and returns an answer."""

    def note(event: evt.Event) -> tuple[bool, bytes | None]:
        seen.append((event.user_id_type, event.primary_field, event.secondary_field))  # type: ignore[attr-defined]
        return answer

    return (evt.EVT_USER_ID, note)


def test_it_is_sent_with_every_association() -> None:
    """This includes the check, images, queries, commitment and the list of accepted contexts."""
    seen: Seen = []
    with PythonSCP(handlers=[noting(seen, (True, b""))]) as server:
        peer = identified(peer_of(server))
        preflight.check(peer)
        preflight.accepted(peer, storage_contexts()[:1])
        scu = StorageSCU(peer, unconverted, retry_time=0)
        assert outcomes(send_all(scu, [made_instance(1)])) == [SENT]
        find_scu(peer).verify([reference(1)])
        commitment_scu(peer).verify([reference(1)])
        assert len(seen) == len(server.associations) >= 5
    assert set(seen) == {(2, b"alice", b"hunter2")}


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (b"yes", "The server confirmed the user identity"),
        (None, "The server did not confirm the user identity; it may have ignored it"),
    ],
)
def test_the_log_says_whether_the_server_confirms_it(
    answer: bytes | None, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The server confirms a token if it is configured to."""
    caplog.set_level("INFO")
    with PythonSCP(handlers=[noting([], (True, answer))]) as server:
        token = UserIdentity(IdentityType.JWT, b"a.b.c")
        server_info = preflight.check(replace(peer_of(server), identity=token))
    assert server_info.confirms_identity is (answer is not None)
    assert [record.getMessage() for record in caplog.records if "fw_gear" in record.name] == [line]


def test_a_user_name_alone_needs_no_confirmation(caplog: pytest.LogCaptureFixture) -> None:
    """It proves nothing, and no response was requested."""
    with PythonSCP() as server:
        name = UserIdentity(IdentityType.USERNAME, b"alice")
        assert preflight.check(replace(peer_of(server), identity=name)).confirms_identity is False
        assert preflight.check(peer_of(server)).confirms_identity is None
    assert caplog.records == []


def test_a_rejection_mentions_the_identity() -> None:
    """The line does not show it."""
    server = PythonSCP(handlers=[noting([], (False, None))])
    policy = replace(preflight.REJECTION_POLICY, max_time=0)
    with server, pytest.raises(ServerError) as caught:
        preflight.check(identified(peer_of(server)), policy=policy)
    assert MAY_BE_REFUSED in str(caught.value)
    assert "alice" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("source", "is_mentioned"), [(1, True), (2, True), (3, False)])
def test_a_server_at_its_limit_does_not_blame_the_identity(source: int, is_mentioned: bool) -> None:
    """A congested provider (source 3) has not checked it (PS3.8 9.3.4)."""

    def reject(peer: Peer) -> None:
        peer.reject(1, source, 1)

    with FaultSCP(reject) as server, pytest.raises(ServerError) as caught:
        preflight.check(
            identified(peer_of(server)), policy=replace(preflight.REJECTION_POLICY, max_time=0)
        )
    assert (MAY_BE_REFUSED in str(caught.value)) is is_mentioned


def test_storescp_receives_it() -> None:
    """DCMTK's server logs the identity and accepts the image."""
    with StoreSCP("-d") as server:
        scu = StorageSCU(identified(peer_of(server)), unconverted, retry_time=0)
        assert outcomes(send_all(scu, [made_instance(1)])) == [SENT]
        printed = server.output()
    assert "Authentication mode 2: Username/Password" in printed
    assert "Username: [alice]" in printed
    assert "Password: [hunter2]" in printed
    assert "Positive Response requested: Yes" in printed


def test_orthanc_accepts_images_with_it(orthanc: Orthanc) -> None:
    """A server that does not know user identities ignores it."""
    scu = StorageSCU(identified(peer_of(orthanc)), unconverted, retry_time=0)
    assert outcomes(send_all(scu, [made_instance(1)])) == [SENT]
    assert preflight.check(identified(peer_of(orthanc))).confirms_identity is False


@pytest.mark.parametrize("password", ["hunter2", "hunter3"])
def test_dcmjs_checks_it(password: str) -> None:
    """dcmjs-dimse confirms the correct password and rejects a wrong one."""
    with DcmjsSCP("alice", password) as server:
        peer = identified(PeerAE("127.0.0.1", server.port, server.ae_title, "CALLING"))
        if password.encode() != ALICE.secondary:
            with pytest.raises(ServerError, match=MAY_BE_REFUSED):
                preflight.check(peer)
            return
        assert preflight.check(peer).confirms_identity is True
        scu = StorageSCU(peer, unconverted, retry_time=0)
        assert outcomes(send_all(scu, [made_instance(1)])) == [SENT]
        assert "stored" in server.output()

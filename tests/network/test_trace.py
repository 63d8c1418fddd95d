"""`debug` logs for associations: contexts, sizes, TLS, and the side that ended them."""

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fw_gear_dicom_send.network import preflight
from fw_gear_dicom_send.network.association import StorageAssociation
from fw_gear_dicom_send.network.errors import AssociationError
from fw_gear_dicom_send.network.tls import make_context
from fw_gear_dicom_send.network.types import IdentityType, TLSConfig, UserIdentity
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.associations import CONTEXTS, CT, associate
from tests.support.certificates import issue
from tests.support.fault_scp import FaultSCP, Peer, serve
from tests.support.instances import made_instance
from tests.support.pacs import PythonSCP, StoreSCP
from tests.support.pdus import accepted_context, associate_ac, item, user_information
from tests.support.peers import peer_of
from tests.support.pool import ct, scu_of
from tests.support.results import SENT, outcome
from tests.support.scripted import UNKNOWN_CALLING_AE, rejecting
from tests.support.tls_servers import secured, server_context
from tests.support.waiting import wait_for

EXPLICIT = b"1.2.840.10008.1.2.1"


@pytest.fixture(autouse=True)
def detailed(caplog: pytest.LogCaptureFixture) -> None:
    """Log with `debug`."""
    caplog.set_level(logging.DEBUG, logger="fw_gear_dicom_send")


def log_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the log lines about associations without their numbers."""
    lines = [line for line in caplog.messages if line.startswith("Association ")]
    return [line.partition(": ")[2] for line in lines]


def test_each_context_has_its_result(caplog: pytest.LogCaptureFixture) -> None:
    """The log shows proposed, accepted and rejected contexts (PS3.8 9.3.3.2) and the server."""
    answer = associate_ac(
        accepted_context(1, EXPLICIT),
        accepted_context(3, b"", result=4),
        accepted_context(5, b"", result=3),
        accepted_context(7, b"", result=1),
        accepted_context(9, b"", result=2),
        accepted_context(11, b"", result=99),
        accepted_context(13, b"1.2.3"),
        user_information(item(0x55, b"PACS 1"), max_length=12_345),
    )

    def script(peer: Peer) -> None:
        peer.read_any()
        peer.socket.sendall(answer)
        peer.read_to_end()

    contexts = [replace(CONTEXTS[0], abstract_syntax=uid) for uid in (CT, *"2345678")]
    with FaultSCP(script) as server:
        assoc = StorageAssociation(peer_of(server), contexts)
        assoc.open()
        assoc.abort()
    first, second, *results, _ = log_lines(caplog)
    assert first == (
        f"requested by CALLING from CALLED at 127.0.0.1 port {server.port}; 8 presentation "
        "contexts; maximum PDU length to receive: 16382 bytes"
    )
    assert second == (
        "accepted with 1 of 8 presentation contexts; implementation PACS 1, class UID 1.2.3.4; "
        "maximum PDU length of the server: 12345 bytes, used: 12344 bytes"
    )
    assert [line.partition(": ")[2] for line in results] == [
        "accepted (0)",
        "transfer syntax not supported (4)",
        f"{wording.NO_ABSTRACT_SYNTAX} (3)",
        "rejected by the service user (1)",
        "rejected without a reason (2)",
        "rejected for an unknown reason (99)",
        "accepted in a transfer syntax that was not proposed (0)",
        "no answer",
    ]
    assert results[0].startswith("CT Image Storage in Explicit VR Little Endian: ")


def test_a_rejection_has_its_codes(caplog: pytest.LogCaptureFixture) -> None:
    """Result, source and reason (PS3.8 9.3.4) are shown as numbers and text."""
    with FaultSCP(rejecting(UNKNOWN_CALLING_AE)) as server, pytest.raises(AssociationError):
        associate(server)
    assert (
        "rejected: result 1 (permanent), source 1 (service user), reason 3 "
        f"({wording.UNKNOWN_CALLING_AE} 'CALLING')"
    ) in log_lines(caplog)


@pytest.mark.parametrize(
    ("end", "line"),
    [
        (Peer.close, "the connection was closed without a release"),
        (Peer.reset, "the connection failed: Connection reset by peer"),
        (Peer.request_release, "the server released it"),
        (Peer.abort, f"{wording.SERVER_ABORTED} (service user)"),
        (
            lambda peer: peer.send_pdu(7, b"\0\0\2\6"),
            f"{wording.SERVER_ABORTED} (service provider: invalid PDU parameter value)",
        ),
        (lambda peer: peer.send_pdu(7, b"\0\0\x09\x09"), wording.SERVER_ABORTED),
        (lambda peer: peer.send_pdu(7, b""), wording.SERVER_ABORTED),
        (lambda peer: peer.send_pdu(99, b""), "the server violates the protocol"),
    ],
)
def test_the_end_has_its_cause(
    caplog: pytest.LogCaptureFixture, end: Callable[[Peer], None], line: str
) -> None:
    """The log shows the side that ended it, and its reason if known (PS3.8 9.3.8)."""

    def script(peer: Peer) -> None:
        peer.accept()
        end(peer)
        peer.read_to_end()

    with FaultSCP(script) as server:
        assoc = associate(server)
        assert wait_for(lambda: not assoc.is_usable)
        assoc.release()
    assert log_lines(caplog)[-1].startswith(line)


@pytest.mark.parametrize(
    ("end", "line"),
    [
        (StorageAssociation.release, wording.RELEASED),
        (StorageAssociation.abort, "this side aborted it"),
    ],
)
def test_the_gears_own_end_is_logged_once(
    caplog: pytest.LogCaptureFixture, end: Callable[[StorageAssociation], None], line: str
) -> None:
    """A release ends with an empty abort, which is not logged."""
    with PythonSCP() as server:
        assoc = associate(server)
        end(assoc)
        assoc.abort()
    assert log_lines(caplog)[-1] == line
    assert sum(line in one for one in log_lines(caplog)) == 1


def test_tls_and_identity_are_logged(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """The log has version, cipher suite and certificate, but only the type of the identity."""
    own = issue(tmp_path / "server")
    config = TLSConfig(None, own.ca, "BCP 195", require_peer_cert=True, check_hostname=False)
    identity = UserIdentity(IdentityType.USERNAME_AND_PASSCODE, b"alice", b"hunter2")
    with FaultSCP(secured(server_context(own), serve)) as server:
        preflight.check(replace(peer_of(server), identity=identity), make_context(config))
    first, second, *_ = log_lines(caplog)
    assert first.startswith("TLSv1.3 with TLS_AES_256_GCM_SHA384; server certificate:")
    assert ", valid until " in first
    assert ", user identity of type 2; " in second
    assert "alice" not in caplog.text
    assert "hunter2" not in caplog.text


def test_each_store_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The line has UID, status, duration and number of the try."""
    with StoreSCP("+xa") as server:
        scu = scu_of(server)
        image = made_instance(1)
        assert outcome(scu.send(image)) == SENT
        scu.close()
    (line,) = (one for one in caplog.messages if one.startswith("C-STORE"))
    head, _, rest = line.partition(", association ")
    assert head == f"C-STORE of {image.sop_instance_uid}"
    assert rest.endswith(" ms: status 0x0000 Success")
    assert ", try 1, " in rest


def test_a_lost_store_is_logged_with_each_try(caplog: pytest.LogCaptureFixture) -> None:
    """The log shows why there is no response, and counts the next try."""

    def lose(peer: Peer) -> None:
        peer.accept()
        peer.read_image()
        peer.reset()

    with FaultSCP(lose, serve) as server:
        scu = scu_of(server)
        (image,) = ct(1)
        assert outcome(scu.send(image)) == SENT
        scu.close()
    first, second = (one for one in caplog.messages if one.startswith("C-STORE"))
    assert ", try 1, " in first
    assert f"no answer: {wording.CONNECTION_LOST}" in first
    assert ", try 2, " in second
    assert second.endswith("status 0x0000 Success")


def test_an_invalid_uid_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A dataset may have a patient's name in its place."""
    with FaultSCP(serve) as server:
        scu = scu_of(server)
        image = replace(made_instance(1), sop_instance_uid="DOE^JANE", sop_class_uid="DOE^JIM")
        scu.send(image)
        scu.close()
    assert "C-STORE of (not a UID)" in caplog.text
    assert "DOE" not in caplog.text


def test_no_import_is_needed_for_a_log() -> None:
    """A UID without a known name is shown itself: an import could fail and end the run."""
    code = (
        "import sys, logging; logging.basicConfig(level=logging.DEBUG)\n"
        "from fw_gear_dicom_send.network.contexts import ECHO, Context\n"
        "from fw_gear_dicom_send.network.protocol import Accepted\n"
        "from fw_gear_dicom_send.network.trace import Trace\n"
        "Trace().accepted(Accepted({}, 0, ''), [ECHO, Context('1.2.3', '1.2.4')], 16)\n"
        "assert not {'pydicom', 'pynetdicom'} & sys.modules.keys()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Verification SOP Class in Implicit VR Little Endian: no answer" in ended.stderr
    assert "1.2.3 in 1.2.4: no answer" in ended.stderr

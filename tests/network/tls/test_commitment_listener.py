"""A listener with TLS accepts reports from a peer with a trusted certificate only."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fw_gear_dicom_send.errors import ConfigError
from fw_gear_dicom_send.network.commitment_listener import MAX_CONNECTIONS, CommitmentListener
from fw_gear_dicom_send.network.tls import PROFILES
from fw_gear_dicom_send.network.types import ClientCertificate, TLSConfig
from fw_gear_dicom_send.values import replace
from tests.support.certificates import HOST, Identity, issue
from tests.support.pacs import free_port
from tests.support.reporting import PACS, answer, connected, report
from tests.support.waiting import LONG_TIMEOUTS, PATIENCE

UID = "1.2.3"
SUCCESS = 0


@pytest.fixture
def listener(config: TLSConfig) -> Iterator[CommitmentListener]:
    """Listener of the gear."""
    with listening(config) as opened:
        yield opened


def listening(config: TLSConfig) -> CommitmentListener:
    """Return a listener on a free port."""
    return CommitmentListener(free_port(), PACS, config, LONG_TIMEOUTS)


def showing(own: Identity | None, trusted: Identity) -> ssl.SSLContext:
    """Return the context of a peer with this certificate, as lax as this OpenSSL allows."""
    context = ssl.create_default_context(cafile=trusted.ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    return own.configure(context) if own else context


def reported(listener: CommitmentListener, context: ssl.SSLContext) -> bool:
    """Return whether the report of a peer arrives."""
    with listener.expecting(UID):
        assoc = connected(listener.port, tls=context)
        if not assoc.is_established:
            return False
        assert answer(assoc, report(UID, ["1.2"])) == SUCCESS
        assoc.release()
        return listener.report(UID, 0) is not None


@pytest.mark.parametrize("profile", PROFILES)
def test_a_report_is_accepted_with_each_profile(
    config: TLSConfig, server: Identity, client: Identity, profile: str
) -> None:
    """Both sides show their certificates, and each may also send several reports."""
    with listening(replace(config, profile=profile)) as listener:
        assert reported(listener, showing(server, client))
        assert reported(listener, showing(server, client))


def test_an_unknown_certificate_is_rejected(
    listener: CommitmentListener,
    server: Identity,
    client: Identity,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log names the cause, and the next peer is served."""
    other = issue(tmp_path / "other")
    assert not reported(listener, showing(other, client))
    assert reported(listener, showing(server, client))
    (line,) = (one.getMessage() for one in caplog.records if "Port" in one.getMessage())
    assert line == f"Port {listener.port}: TLS handshake failed: CERTIFICATE_VERIFY_FAILED"


@pytest.mark.parametrize("requires", [False, True])
def test_a_certificate_is_required_as_for_sending(
    config: TLSConfig, client: Identity, requires: bool
) -> None:
    """Without `tls_require_peer_cert`, a peer needs no certificate."""
    with listening(replace(config, require_peer_cert=requires)) as listener:
        assert reported(listener, showing(None, client)) is not requires


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_rejected(
    listener: CommitmentListener, server: Identity, client: Identity, version: ssl.TLSVersion
) -> None:
    """Nothing below TLS 1.2 is accepted (PS3.15 annex B)."""
    context = showing(server, client)
    context.minimum_version = context.maximum_version = version
    assert not reported(listener, context)


def test_unencrypted_data_is_rejected(
    listener: CommitmentListener, server: Identity, client: Identity
) -> None:
    """A peer without TLS gets no association."""
    assert not connected(listener.port).is_established
    assert reported(listener, showing(server, client))


def test_handshakes_without_end_block_nothing(
    listener: CommitmentListener, server: Identity, client: Identity
) -> None:
    """The oldest of too many connections is closed, whether it has sent anything or not."""
    opened = [
        socket.create_connection((HOST, listener.port), PATIENCE) for _ in range(MAX_CONNECTIONS)
    ]
    for connection in opened[::2]:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01")
    assert reported(listener, showing(server, client))
    assert opened[0].recv(1) == b""
    for connection in opened:
        connection.close()


def test_a_handshake_has_a_time_limit(config: TLSConfig) -> None:
    """A peer that does not complete it is disconnected."""
    timeouts = replace(LONG_TIMEOUTS, connect=0.5)
    with (
        CommitmentListener(free_port(), PACS, config, timeouts) as listener,
        socket.create_connection((HOST, listener.port), PATIENCE) as connection,
    ):
        assert connection.recv(1) == b""


def test_it_ends_in_a_handshake(config: TLSConfig) -> None:
    """A peer in the middle of a handshake is disconnected immediately."""
    with listening(config) as listener:
        connection = socket.create_connection((HOST, listener.port), PATIENCE)
        connection.sendall(b"\x16\x03\x01\x02\x00\x01")
    with connection, suppress(ConnectionResetError):  # if the listener has not read everything
        assert connection.recv(1) == b""


def test_an_unusable_key_or_authority_is_reported(config: TLSConfig, tmp_path: Path) -> None:
    """The error names the option, and nothing listens."""
    damaged = tmp_path / "damaged.pem"
    damaged.write_text("no key")
    assert config.certificate
    own = ClientCertificate(damaged, config.certificate.cert)
    for name, bad in (
        ("key", replace(config, certificate=own)),
        ("add_cert_file", replace(config, add_cert_file=damaged)),
    ):
        with pytest.raises(ConfigError, match=rf"^{name}: "), listening(bad):
            pass

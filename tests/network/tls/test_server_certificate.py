"""The server's certificate must be trusted, current and strong, and may need a matching name."""

import datetime
import re
from pathlib import Path

import pytest
import trustme

from fw_gear_dicom_send.network import preflight
from fw_gear_dicom_send.network.tls import make_context
from fw_gear_dicom_send.network.types import TLSConfig
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.certificates import DAY, Identity, issue, make_self_signed
from tests.support.fault_scp import FaultSCP
from tests.support.peers import peer_of
from tests.support.results import SENT
from tests.support.tls_servers import scu_of, secured, send, server_context, tls_failure

pytestmark = pytest.mark.slow


def test_an_untrusted_server(config: TLSConfig, server: Identity) -> None:
    """A server of an unknown authority receives nothing; the error names the input that helps."""
    message = tls_failure(replace(config, add_cert_file=None), secured(server_context(server)))
    assert message.startswith(f"{wording.NOT_TRUSTED} (")
    assert f"): {wording.ADD_ITS_CA}" in message


def test_a_servers_own_certificate_can_be_trusted(config: TLSConfig, server: Identity) -> None:
    """The certificate itself can be trusted instead of its authority's."""
    context = make_context(replace(config, add_cert_file=server.cert))
    with FaultSCP(secured(server_context(server))) as scp:
        assert send(scu_of(scp, context)) == [SENT] * 3


def test_the_authorities_of_the_system_are_trusted(
    monkeypatch: pytest.MonkeyPatch, config: TLSConfig, server: Identity
) -> None:
    """A server with a certificate that the system trusts needs no add_cert_file."""
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca))
    context = make_context(replace(config, add_cert_file=None))
    with FaultSCP(secured(server_context(server))) as scp:
        assert send(scu_of(scp, context)) == [SENT] * 3


def test_any_certificate_is_accepted_if_none_is_required(
    tmp_path: Path, config: TLSConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """An unknown authority, another name and an expired date are then accepted."""
    now = datetime.datetime.now(datetime.UTC)
    old = issue(
        tmp_path / "old", "other.example.org", not_before=now - 9 * DAY, not_after=now - DAY
    )
    lax = replace(config, require_peer_cert=False, add_cert_file=None)
    with FaultSCP(secured(server_context(old))) as scp, caplog.at_level("INFO"):
        preflight.check(peer_of(scp), make_context(lax))
        assert send(scu_of(scp, make_context(lax))) == [SENT] * 3
    line, warning = caplog.messages
    assert warning == f"{wording.SERVER_VALID_UNTIL} {now - DAY:%Y-%m-%d}"
    assert re.fullmatch(
        r"TLSv1\.3 with TLS_AES_256_GCM_SHA384; server certificate: "
        r"OU=Testing cert .*,O=trustme .*, issued by OU=Testing CA .*,O=trustme .*",
        line,
    )


@pytest.mark.parametrize(
    ("begin", "end", "message"),
    [
        (
            -9 * DAY,
            -DAY,
            f"{wording.CERTIFICATE_EXPIRED} (certificate has expired): {wording.RENEW_IT}",
        ),
        (
            DAY,
            9 * DAY,
            (
                f"{wording.CERTIFICATE_NOT_YET_VALID} (certificate is not yet valid): "
                f"{wording.CHECK_CLOCKS}"
            ),
        ),
    ],
)
def test_a_server_certificate_outside_its_validity(
    tmp_path: Path,
    config: TLSConfig,
    begin: datetime.timedelta,
    end: datetime.timedelta,
    message: str,
) -> None:
    """The error says whether its certificate has expired or is not yet valid."""
    now = datetime.datetime.now(datetime.UTC)
    old = issue(tmp_path / "old", not_before=now + begin, not_after=now + end)
    assert (
        tls_failure(replace(config, add_cert_file=old.ca), secured(server_context(old))) == message
    )


def test_a_server_with_another_name(tmp_path: Path, config: TLSConfig) -> None:
    """The name is checked only on request."""
    other = issue(tmp_path / "other", "pacs.example.org")
    trusting = replace(config, add_cert_file=other.ca)
    script = secured(server_context(other))
    assert tls_failure(replace(trusting, check_hostname=True), script) == (
        f"{wording.OTHER_NAME} (IP address mismatch, certificate is not valid for "
        f"'127.0.0.1'.): {wording.CORRECT_THE_NAME}"
    )
    with FaultSCP(script) as scp:
        assert send(scu_of(scp, make_context(trusting))) == [SENT] * 3


def test_a_server_with_the_correct_name(config: TLSConfig, server: Identity) -> None:
    """An address is matched against the certificate, too."""
    context = make_context(replace(config, check_hostname=True))
    with FaultSCP(secured(server_context(server))) as scp:
        assert send(scu_of(scp, context)) == [SENT] * 3


def test_a_server_with_a_weak_key(tmp_path: Path, config: TLSConfig) -> None:
    """A key of 1024 bits is rejected by all profiles."""
    weak = tmp_path / "weak"
    weak.mkdir()
    key, cert = weak / "key.pem", weak / "cert.pem"
    make_self_signed(key, cert, bits=1024)
    script = secured(server_context(Identity(cert, cert, key)))
    message = tls_failure(replace(config, add_cert_file=cert), script)
    assert message.startswith(f"{wording.WEAK_CERTIFICATE} (")


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """CA that the system trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "public.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "public.pem"))
    return authority


@pytest.mark.parametrize("adds", [True, False])
def test_a_public_authority_requires_the_name(
    tmp_path: Path, config: TLSConfig, public: trustme.CA, adds: bool
) -> None:
    """It has signed many certificates, so the name matters also with add_cert_file."""
    trusting = config if adds else replace(config, add_cert_file=None)
    evil = issue(tmp_path / "evil", "evil.example.org", authority=public)
    message = tls_failure(trusting, secured(server_context(evil)))
    assert message.startswith(f"{wording.OTHER_NAME} (")
    good = issue(tmp_path / "good", authority=public)
    with FaultSCP(secured(server_context(good))) as scp:
        assert send(scu_of(scp, make_context(trusting))) == [SENT] * 3


@pytest.mark.usefixtures("public")
def test_an_expired_certificate_of_an_added_authority(tmp_path: Path, config: TLSConfig) -> None:
    """The error does not claim that the authority is unknown."""
    now = datetime.datetime.now(datetime.UTC)
    old = issue(tmp_path / "old", not_before=now - 9 * DAY, not_after=now - DAY)
    message = tls_failure(replace(config, add_cert_file=old.ca), secured(server_context(old)))
    assert message.startswith(f"{wording.CERTIFICATE_EXPIRED} (")


def test_each_association_of_a_run_shakes_hands_once(
    tmp_path: Path, config: TLSConfig, public: trustme.CA
) -> None:
    """The first association determines the trusted authority and needs two connections."""
    good = issue(tmp_path / "good", authority=public)
    context = make_context(config)
    with FaultSCP(secured(server_context(good))) as scp:
        for connections in (2, 3, 4):
            preflight.check(peer_of(scp), context)
            assert scp.connections == connections

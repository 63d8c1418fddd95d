"""The gear's key and certificate are checked before any connection."""

import datetime
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization as pem

from fw_gear_dicom_send.errors import ConfigError
from fw_gear_dicom_send.network import preflight
from fw_gear_dicom_send.network.tls import make_context
from fw_gear_dicom_send.network.types import ClientCertificate, TLSConfig
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.certificates import DAY, Identity, issue, make_self_signed
from tests.support.fault_scp import FaultSCP
from tests.support.odd_certificates import UTF8, name, odd_certificate
from tests.support.peers import peer_of
from tests.support.results import SENT
from tests.support.tls_servers import (
    demanding_context,
    scu_of,
    secured,
    send,
    server_context,
    tls_failure,
)

pytestmark = pytest.mark.slow


def showing(config: TLSConfig, key: Path | None = None, cert: Path | None = None) -> TLSConfig:
    """Return the configuration with another key or certificate."""
    own = config.certificate
    assert own is not None
    return replace(config, certificate=ClientCertificate(key or own.key, cert or own.cert))


def refusal(config: TLSConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        make_context(config)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("key_type", trustme.KeyType)
def test_keys_of_both_kinds_are_accepted(
    tmp_path: Path, config: TLSConfig, server: Identity, key_type: trustme.KeyType
) -> None:
    """RSA and EC keys identify the gear to the server."""
    own = issue(tmp_path / "own", key_type=key_type)
    verifying = demanding_context(server, own.ca)
    context = make_context(showing(config, own.key, own.cert))
    with FaultSCP(secured(verifying)) as scp:
        assert send(scu_of(scp, context)) == [SENT] * 3


def test_a_chain_is_sent_completely(tmp_path: Path, config: TLSConfig, server: Identity) -> None:
    """A server that knows only the root receives the intermediate certificates."""
    root = trustme.CA()
    own = issue(tmp_path / "own", authority=root.create_child_ca())
    root_file = tmp_path / "root.pem"
    root.cert_pem.write_to_path(str(root_file))
    verifying = demanding_context(server, root_file)
    assert own.cert.read_text().count("BEGIN CERTIFICATE") == 2
    with FaultSCP(secured(verifying)) as scp:
        context = make_context(showing(config, own.key, own.cert))
        assert send(scu_of(scp, context)) == [SENT] * 3


def test_an_encrypted_key_is_rejected(tmp_path: Path, config: TLSConfig, client: Identity) -> None:
    """There is no password prompt; the error explains how to remove the password."""
    key = pem.load_pem_private_key(client.key.read_bytes(), None)
    encrypted = tmp_path / "encrypted.pem"
    encrypted.write_bytes(
        key.private_bytes(
            pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"secret")
        )
    )
    assert refusal(showing(config, key=encrypted)) == (
        f"key: 'encrypted.pem (encrypted)' {wording.ALLOWED}: {wording.ONE_KEY} "
        "(openssl pkey -in encrypted.pem -out decrypted.pem)"
    )


@pytest.mark.parametrize("content", [b"", b"\x30\x82\x01\x0a", b"-----BEGIN RSA PRIVATE KEY-----"])
def test_files_that_are_not_pem_are_rejected(
    tmp_path: Path, config: TLSConfig, content: bytes
) -> None:
    """Each unreadable file is named with its expected content."""
    bad = tmp_path / "bad.pem"
    bad.write_bytes(content)
    text = f"bad.pem' {wording.ALLOWED}: "
    assert refusal(showing(config, key=bad)) == (f"key: '{text}{wording.ONE_KEY}")
    assert refusal(showing(config, cert=bad)) == (f"cert: '{text}{wording.A_CHAIN}")
    assert refusal(replace(config, add_cert_file=bad)) == (
        f"add_cert_file: '{text}a PEM file with one or more CA certificates"
    )


def test_swapped_key_and_certificate_are_rejected(config: TLSConfig, client: Identity) -> None:
    """Both are PEM, but each is in place of the other."""
    swapped = showing(config, key=client.cert, cert=client.key)
    assert refusal(swapped).startswith("key: 'cert.pem'")


@pytest.mark.parametrize("key_type", trustme.KeyType)
def test_a_key_of_another_certificate_is_rejected(
    tmp_path: Path, config: TLSConfig, key_type: trustme.KeyType
) -> None:
    """The error says that the files do not belong together."""
    other = issue(tmp_path / "other", key_type=key_type)
    assert refusal(showing(config, key=other.key)).startswith(
        f"cert: 'cert.pem (its first certificate does not match key.pem)' {wording.ALLOWED}: "
    )


def test_a_certificate_that_openssl_cannot_read_is_rejected(
    tmp_path: Path, config: TLSConfig
) -> None:
    """It is called damaged, and its key is not blamed."""
    odd = odd_certificate(tmp_path / "odd", subject=name(UTF8, b"K\xf6ln"))
    assert refusal(showing(config, odd.key, odd.cert)) == (
        f"cert: 'cert.pem ({wording.OPENSSL_REJECTS}: damaged)' {wording.ALLOWED}: "
        f"{wording.A_CHAIN}"
    )


@pytest.mark.parametrize(
    ("begin", "end"), [(-9 * DAY, -DAY), (DAY, 9 * DAY)], ids=["expired", "not yet valid"]
)
def test_a_certificate_outside_its_validity_is_rejected(
    tmp_path: Path, config: TLSConfig, begin: datetime.timedelta, end: datetime.timedelta
) -> None:
    """The error has its dates; the server is not contacted."""
    now = datetime.datetime.now(datetime.UTC)
    old = issue(tmp_path / "old", not_before=now + begin, not_after=now + end)
    assert refusal(showing(config, old.key, old.cert)) == (
        f"cert: 'cert.pem (valid from {now + begin:%Y-%m-%d} to {now + end:%Y-%m-%d})' "
        f"{wording.ALLOWED}: a certificate that is valid today"
    )


def test_a_weak_key_is_rejected(tmp_path: Path, config: TLSConfig) -> None:
    """A key that current servers reject is rejected before any connection."""
    key, cert = tmp_path / "weak-key.pem", tmp_path / "weak.pem"
    make_self_signed(key, cert, bits=1024)
    assert refusal(showing(config, key, cert)) == (
        f"cert: 'weak.pem ({wording.OPENSSL_REJECTS}: ee key too small)' "
        f"{wording.ALLOWED}: a key of at least 2048 bits RSA or 256 bits EC"
    )


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_that_requests_no_certificate_gets_none(
    config: TLSConfig, server: Identity, version: ssl.TLSVersion
) -> None:
    """Neither key nor certificate is needed for it."""
    context = make_context(replace(config, certificate=None))
    with FaultSCP(secured(server_context(server, version, version))) as scp:
        assert send(scu_of(scp, context)) == [SENT] * 3


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_that_requests_a_certificate(
    config: TLSConfig, server: Identity, client: Identity, version: ssl.TLSVersion
) -> None:
    """If the gear has none, the error says that the server requires one."""
    demanding = demanding_context(server, client.ca, version, version)
    assert tls_failure(replace(config, certificate=None), secured(demanding)) == (
        f"{wording.CLIENT_REQUIRED}: set key and cert, signed by a CA that the server trusts"
    )


@pytest.mark.parametrize(("days", "is_logged"), [(29, True), (31, False)])
def test_a_certificate_that_expires_soon_is_logged(
    tmp_path: Path,
    config: TLSConfig,
    caplog: pytest.LogCaptureFixture,
    days: int,
    is_logged: bool,
) -> None:
    """A certificate of either side causes a warning 30 days before."""
    end = datetime.datetime.now(datetime.UTC) + days * DAY
    own, peer = (issue(tmp_path / name, not_after=end) for name in ("own", "peer"))
    trusting = replace(showing(config, own.key, own.cert), add_cert_file=peer.ca)
    with FaultSCP(secured(server_context(peer))) as scp, caplog.at_level("WARNING"):
        preflight.check(peer_of(scp), make_context(trusting))
    ends = f"{wording.VALID_UNTIL} {end:%Y-%m-%d}"
    text = [f"{wording.OWN_CERTIFICATE} cert.pem {ends}", f"The server's certificate {ends}"]
    assert caplog.messages == (text if is_logged else [])

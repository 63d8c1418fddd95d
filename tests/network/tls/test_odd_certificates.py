"""Certificates that OpenSSL accepts are used and shown, whatever other libraries think of them."""

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import load_pem_x509_certificate

from fw_gear_dicom_send.network import preflight
from fw_gear_dicom_send.network.tls import make_context
from fw_gear_dicom_send.network.types import (
    ClientCertificate,
    IdentityType,
    TLSConfig,
    UserIdentity,
)
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.certificates import DAY, Identity
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.odd_certificates import (
    BAD_ALTERNATIVE_NAME,
    BIT_STRING,
    BMP,
    IA5,
    PRINTABLE,
    T61,
    TIME,
    UTC_TIME,
    UTF8,
    name,
    odd_certificate,
    tlv,
)
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

LATIN = "Köln".encode("latin-1")
NAMES = {
    "underscore in PrintableString": (name(PRINTABLE, b"pacs_1"), "CN=pacs_1"),
    "Latin-1 in PrintableString": (name(PRINTABLE, LATIN), "CN=Köln"),
    "Latin-1 in IA5String": (name(IA5, LATIN), "CN=Köln"),
    "T61String": (name(T61, LATIN), "CN=Köln"),
    "BMPString": (name(BMP, "Köln".encode("utf-16-be")), "CN=Köln"),
    "BIT STRING": (name(BIT_STRING, b"\0a"), r"CN=\x00a"),
    "country of seven letters": (name(PRINTABLE, b"Germany", bytes.fromhex("550406")), "C=Germany"),
    "common name without end": (name(UTF8, b"x" * 3000), "CN=" + "x" * 3000),
    "unknown attribute": (name(UTF8, b"a", b"\x55\x04\x61"), "550461=a"),
    "line break": (name(UTF8, b"a\nb"), r"CN=a\nb"),
}
FIELDS = {
    "negative serial number": {"serial": b"\xff"},
    "serial number 0": {"serial": b"\0"},
    "serial number of 40 bytes": {"serial": b"\1" * 40},
    "version 2": {"version": 2},
    "version 4": {"version": 4},
    "begins in year 0": {"begin": tlv(TIME, b"00000101000000Z")},
    "alternative name of three bytes": {"extensions": BAD_ALTERNATIVE_NAME},
}
CASES = [
    *(pytest.param(({"subject": one}, shown), id=case) for case, (one, shown) in NAMES.items()),
    *(pytest.param((fields, "CN=pacs"), id=case) for case, fields in FIELDS.items()),
]
"""Arguments of `odd_certificate`, and the name that is shown."""
DATES = {
    "without seconds": (tlv(UTC_TIME, b"4001012359Z"), "2040-01-01"),
    "with an offset": (tlv(UTC_TIME, b"400101000000+0100"), "2039-12-31"),
    "with a part of a second": (tlv(TIME, b"20400101000000.5Z"), "2040-01-01"),
    "30 February": (tlv(TIME, b"20400230000000Z"), wording.UNREADABLE_DATE),
    "beyond the last year": (tlv(TIME, b"99991231235959-2300"), wording.UNREADABLE_DATE),
    "not a date": (tlv(TIME, LATIN), wording.UNREADABLE_DATE),
}


@pytest.mark.slow
@pytest.mark.parametrize("verifies", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_a_server_with_an_odd_certificate_receives_images(
    tmp_path: Path,
    config: TLSConfig,
    caplog: pytest.LogCaptureFixture,
    case: tuple[dict[str, Any], str],
    verifies: bool,
) -> None:
    """It is trusted by add_cert_file, or without verification; the log shows its name."""
    fields, shown = case
    odd = odd_certificate(tmp_path / "odd", **fields)
    context = make_context(replace(config, add_cert_file=odd.ca, require_peer_cert=verifies))
    with FaultSCP(secured(server_context(odd))) as scp, caplog.at_level("DEBUG"):
        preflight.check(peer_of(scp), context)
        assert send(scu_of(scp, context)) == [SENT] * 3
    traced, logged, *_ = (one for one in caplog.messages if "server certificate: " in one)
    assert f"server certificate: {shown}, issued by {shown}, valid until 2099-12-31" in traced
    assert logged.endswith(f"server certificate: {shown}, issued by {shown}")


@pytest.mark.slow
@pytest.mark.parametrize(("end", "shown"), DATES.values(), ids=DATES)
def test_a_server_whose_certificate_has_an_odd_date(
    tmp_path: Path, config: TLSConfig, caplog: pytest.LogCaptureFixture, end: bytes, shown: str
) -> None:
    """OpenSSL accepts it only without verification; the date is shown if it can be read."""
    odd = odd_certificate(tmp_path / "odd", end=end)
    trusting = replace(config, add_cert_file=odd.ca)
    message = tls_failure(trusting, secured(server_context(odd)))
    assert message.startswith(f"{wording.CERTIFICATE_NOT_ACCEPTED} (format error in ")
    context = make_context(replace(trusting, require_peer_cert=False))
    with FaultSCP(secured(server_context(odd))) as scp, caplog.at_level("DEBUG"):
        preflight.check(peer_of(scp), context)
        assert send(scu_of(scp, context)) == [SENT] * 3
    assert f"issued by CN=pacs, valid until {shown}" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_an_odd_certificate_of_the_gear_is_presented(
    tmp_path: Path, config: TLSConfig, server: Identity, case: tuple[dict[str, Any], str]
) -> None:
    """OpenSSL decides whether the gear's own certificate can be used."""
    own = odd_certificate(tmp_path / "own", **case[0])
    context = make_context(replace(config, certificate=ClientCertificate(own.key, own.cert)))
    presented: list[bytes | None] = []

    def note(peer: Peer) -> None:
        assert isinstance(peer.socket, ssl.SSLSocket)
        presented.append(peer.socket.getpeercert(binary_form=True))
        peer.accept()
        peer.answer(peer.read_image())
        peer.read_to_end()

    with FaultSCP(secured(demanding_context(server, own.ca), note)) as scp:
        assert send(scu_of(scp, context), 1) == [SENT]
    assert presented == [ssl.PEM_cert_to_DER_cert(own.cert.read_text())]


@pytest.mark.slow
@pytest.mark.parametrize("end", [end for end, _ in DATES.values()], ids=DATES)
def test_an_odd_date_of_the_gears_certificate(
    tmp_path: Path, config: TLSConfig, server: Identity, end: bytes
) -> None:
    """The server decides whether it accepts that date."""
    own = odd_certificate(tmp_path / "own", end=end)
    context = make_context(replace(config, certificate=ClientCertificate(own.key, own.cert)))
    with FaultSCP(secured(server_context(server))) as scp:
        assert send(scu_of(scp, context)) == [SENT] * 3


def test_an_odd_certificate_that_expires_soon_is_logged(
    tmp_path: Path, config: TLSConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning comes for either side, whatever else the certificate has."""
    end = datetime.now(UTC) + 29 * DAY
    odd = odd_certificate(
        tmp_path / "odd",
        subject=name(PRINTABLE, b"pacs_1"),
        end=tlv(UTC_TIME, f"{end:%y%m%d%H%M%SZ}".encode()),
    )
    own = ClientCertificate(odd.key, odd.cert)
    with FaultSCP(secured(server_context(odd))) as scp, caplog.at_level("WARNING"):
        preflight.check(
            peer_of(scp), make_context(replace(config, certificate=own, add_cert_file=odd.ca))
        )
    assert caplog.messages == [
        f"{wording.OWN_CERTIFICATE} cert.pem {wording.VALID_UNTIL} {end:%Y-%m-%d}",
        f"{wording.SERVER_VALID_UNTIL} {end:%Y-%m-%d}",
    ]


def test_an_identity_is_sent_to_a_server_with_an_odd_certificate(
    tmp_path: Path, config: TLSConfig
) -> None:
    """The user identity travels over that connection, too."""
    odd = odd_certificate(tmp_path / "odd", subject=name(PRINTABLE, b"pacs_1"))
    identity = UserIdentity(IdentityType.USERNAME_AND_PASSCODE, b"alice", b"hunter2")
    with FaultSCP(secured(server_context(odd))) as scp:
        peer = replace(peer_of(scp), identity=identity)
        found = preflight.check(peer, make_context(replace(config, add_cert_file=odd.ca)))
    assert found.tls
    assert found.tls.subject == "CN=pacs_1"
    assert found.confirms_identity is False


def hello_with(certificate: bytes) -> bytes:
    """Return a ServerHello and a Certificate message of TLS 1.2 (RFC 5246 7.4)."""

    def sized(size: int, body: bytes) -> bytes:
        return len(body).to_bytes(size, "big") + body

    hello = b"\x03\x03" + bytes(32) + b"\0" + b"\xc0\x2b" + b"\0" + sized(2, b"\xff\x01\0\x01\0")
    messages = b"\x02" + sized(3, hello) + b"\x0b" + sized(3, sized(3, sized(3, certificate)))
    return b"\x16\x03\x03" + sized(2, messages)


@pytest.mark.slow
@pytest.mark.parametrize("verifies", [True, False])
@pytest.mark.parametrize(
    "fields",
    [
        {"subject": name(UTF8, LATIN)},
        {"subject": name(BMP, b"\0a\0")},
        {"serial": b"\0\1"},
    ],
    ids=["Latin-1 in UTF8String", "half a character", "padded serial number"],
)
def test_a_certificate_that_openssl_cannot_read(
    tmp_path: Path, config: TLSConfig, fields: dict[str, bytes], verifies: bool
) -> None:
    """The handshake fails for good, and the error names the certificate as the cause."""
    odd = odd_certificate(tmp_path / "odd", **fields)

    def answer(peer: Peer) -> None:
        peer.socket.recv(1 << 16)
        peer.socket.sendall(hello_with(ssl.PEM_cert_to_DER_cert(odd.cert.read_text())))
        peer.read_to_end()

    assert tls_failure(replace(config, require_peer_cert=verifies), answer) == (
        "OpenSSL cannot read the server's certificate: replace it with one in valid DER"
    )


@pytest.mark.filterwarnings("ignore:Attribute's length:UserWarning")
def test_most_of_these_certificates_are_unreadable_for_cryptography(tmp_path: Path) -> None:
    """These tests would prove nothing otherwise."""
    unreadable = 0
    for case, (subject, _) in NAMES.items():
        odd = odd_certificate(tmp_path / case, subject=subject)
        try:
            load_pem_x509_certificate(odd.cert.read_bytes()).subject.rfc4514_string()
        except (ValueError, TypeError):
            unreadable += 1
    assert unreadable >= 5

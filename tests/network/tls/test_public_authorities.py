"""A certificate that the system's CAs vouch for must match the name, even if others do, too."""

import os
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from fw_gear_dicom_send.network import preflight
from fw_gear_dicom_send.network.tls import make_context
from fw_gear_dicom_send.network.types import TLSConfig
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.certificates import DAY, HOST, Identity
from tests.support.fault_scp import FaultSCP
from tests.support.odd_certificates import AUTHORITY, PRINTABLE, name, odd_certificate, tlv
from tests.support.peers import peer_of
from tests.support.programs import path_of
from tests.support.results import SENT
from tests.support.tls_servers import scu_of, secured, send, server_context, tls_failure

pytestmark = pytest.mark.slow

OTHER_NAME = f"{wording.OTHER_NAME} ("


@dataclass(frozen=True)
class Authority:
    """A CA: its name, its key and one of its certificates."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, text: str, issuer: Self | None = None, same: Self | None = None) -> Self:
        """Make a CA. Without an issuer it is a root; `same` is a CA whose key it has."""
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
        key = same.key if same else ec.generate_private_key(ec.SECP256R1())
        by, signer = (issuer.name, issuer.key) if issuer else (name, key)
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        builder = _builder(name, by, key).add_extension(constraints, critical=True)
        return cls(name, key, builder.sign(signer, SHA256()))

    @property
    def pem(self) -> bytes:
        """Return the certificate in PEM."""
        return self.certificate.public_bytes(pem.Encoding.PEM)

    def sign(self, folder: Path, host: str, *chain: "Authority") -> Identity:
        """Issue the certificate of a host, which sends `chain` after it."""
        folder.mkdir(parents=True)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(x509.Name([]), self.name, key).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host)]), critical=True
        )
        leaf = builder.sign(self.key, SHA256()).public_bytes(pem.Encoding.PEM)
        cert, key_file = folder / "cert.pem", folder / "key.pem"
        cert.write_bytes(leaf + b"".join(one.pem for one in chain))
        key_file.write_bytes(
            key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
        )
        return Identity(cert, cert, key_file)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer, subject, key.public_key(), x509.random_serial_number(), now - DAY, now + DAY
    )


ROOT = Authority.make("Public Root")
RENEWED = Authority.make("Public Root", same=ROOT)
OLDER = Authority.make("Older Root")
CROSS = Authority.make("Public Root", OLDER, same=ROOT)
MIDDLE = Authority.make("Public Middle", ROOT)
LOW = Authority.make("Public Low", MIDDLE)
HOSPITAL = Authority.make("Hospital Root")
HOSPITAL_CROSS = Authority.make("Hospital Root", ROOT, same=HOSPITAL)
BELOW_ALIAS = Authority.make("Public Low", Authority.make("public  ROOT", same=ROOT))
NAMESAKE = Authority.make("Public Root")
NAMESAKE_MIDDLE = Authority.make("Hospital Middle", NAMESAKE)


@dataclass(frozen=True)
class Case:
    """The CAs in add_cert_file and in the system, the server's own, and what it sends."""

    added: tuple[Authority, ...]
    system: tuple[Authority, ...]
    issuer: Authority
    sends: tuple[Authority, ...] = ()


Install = Callable[[Case], TLSConfig]

PUBLIC = {
    "the same certificate": Case((ROOT,), (ROOT,), ROOT),
    "a bundle": Case((HOSPITAL, OLDER, ROOT), (ROOT,), ROOT),
    "another certificate with the key": Case((RENEWED,), (ROOT,), ROOT),
    "a certificate from an older CA": Case((CROSS,), (ROOT,), ROOT),
    "signed by a CA of the system": Case((MIDDLE,), (ROOT,), MIDDLE),
    "signed by a CA of the system, and sent": Case((MIDDLE,), (ROOT,), MIDDLE, (MIDDLE,)),
    "signed by an added one": Case((LOW, MIDDLE), (ROOT,), LOW),
    "signed by an added one in the other order": Case((MIDDLE, LOW), (ROOT,), LOW),
    "signed under the name in another form": Case((BELOW_ALIAS,), (ROOT,), BELOW_ALIAS),
    "only the lowest, and the system knows the middle": Case((LOW,), (MIDDLE,), LOW),
    "the root under a sent one": Case((HOSPITAL, ROOT), (ROOT,), MIDDLE, (MIDDLE,)),
    "with additional certificates": Case(
        (HOSPITAL, ROOT), (ROOT,), MIDDLE, (HOSPITAL, MIDDLE, ROOT)
    ),
    "a root that the system's CA signed": Case((HOSPITAL, HOSPITAL_CROSS), (ROOT,), HOSPITAL),
    "only the system's": Case((HOSPITAL,), (ROOT,), ROOT),
}
PRIVATE = {
    "unknown to the system": Case((HOSPITAL,), (ROOT,), HOSPITAL),
    "in a bundle": Case((MIDDLE, HOSPITAL, ROOT), (ROOT,), HOSPITAL),
    "with additional certificates": Case((ROOT, HOSPITAL), (ROOT,), HOSPITAL, (ROOT, MIDDLE)),
    "with the name of a public one": Case((NAMESAKE,), (ROOT,), NAMESAKE),
    "below the name of a public one": Case((NAMESAKE_MIDDLE,), (ROOT,), NAMESAKE_MIDDLE),
}


@pytest.fixture
def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: TLSConfig) -> Install:
    """Install the CAs of a case, and return a configuration that checks no name."""

    def install(case: Case) -> TLSConfig:
        added, system = tmp_path / "added.pem", tmp_path / "system.pem"
        added.write_bytes(b"".join(one.pem for one in case.added))
        system.write_bytes(b"".join(one.pem for one in case.system))
        monkeypatch.setenv("SSL_CERT_FILE", str(system))
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
        return replace(config, add_cert_file=added)

    return install


@pytest.mark.parametrize("case", PUBLIC.values(), ids=PUBLIC)
def test_a_certificate_of_a_public_authority_must_match(
    tmp_path: Path, trusting: Install, case: Case
) -> None:
    """That its CA is in add_cert_file, too, does not make any name acceptable."""
    config = trusting(case)
    evil = case.issuer.sign(tmp_path / "evil", "evil.example.org", *case.sends)
    assert tls_failure(config, secured(server_context(evil))).startswith(OTHER_NAME)
    good = case.issuer.sign(tmp_path / "good", "localhost", *case.sends)
    with FaultSCP(secured(server_context(good))) as scp:
        preflight.check(replace(peer_of(scp), host="localhost"), make_context(config))


@pytest.mark.parametrize("case", PRIVATE.values(), ids=PRIVATE)
def test_a_certificate_of_a_private_authority_may_have_any_name(
    tmp_path: Path, trusting: Install, case: Case
) -> None:
    """Other certificates in the file, or from the server, change nothing."""
    other = case.issuer.sign(tmp_path / "other", "other.example.org", *case.sends)
    with FaultSCP(secured(server_context(other))) as scp:
        assert send(scu_of(scp, make_context(trusting(case)))) == [SENT] * 3
        assert scp.connections == 1


def test_a_server_of_an_authority_in_the_systems_folder_must_match(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusting: Install
) -> None:
    """OpenSSL looks into this folder only when it needs a CA."""
    folders = tmp_path / "first", tmp_path / "second"
    for folder, authority in zip(folders, (OLDER, ROOT), strict=True):
        folder.mkdir()
        (folder / "root.pem").write_bytes(authority.pem)
        subprocess.run([path_of("openssl"), "rehash", folder], check=True)
    config = trusting(Case((HOSPITAL, RENEWED), (OLDER,), ROOT))
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join(map(str, folders)))
    evil = ROOT.sign(tmp_path / "evil", "evil.example.org")
    assert tls_failure(config, secured(server_context(evil))).startswith(OTHER_NAME)


def test_the_servers_own_certificate_may_be_from_a_public_authority(
    tmp_path: Path, trusting: Install
) -> None:
    """Nobody else has its key, so any name is accepted; the CA's other certificates must match."""
    server, evil = (ROOT.sign(tmp_path / one, f"{one}.example.org") for one in ("pacs", "evil"))
    config = replace(trusting(Case((), (ROOT,), ROOT)), add_cert_file=server.cert)
    with FaultSCP(secured(server_context(server))) as scp:
        assert send(scu_of(scp, make_context(config))) == [SENT] * 3
    assert tls_failure(config, secured(server_context(evil))).startswith(OTHER_NAME)


def test_an_address_must_match_as_well(tmp_path: Path, trusting: Install) -> None:
    """A name that looks like the address is not the address (RFC 9525 6.2)."""
    lookalike = ROOT.sign(tmp_path / "evil", HOST)
    message = tls_failure(
        trusting(Case((ROOT,), (ROOT,), ROOT)), secured(server_context(lookalike))
    )
    assert message.startswith(OTHER_NAME)


def test_a_file_of_public_authorities_needs_one_connection(
    tmp_path: Path, trusting: Install
) -> None:
    """No handshake is tried that trusts nobody."""
    good = ROOT.sign(tmp_path / "good", "localhost")
    context = make_context(trusting(Case((ROOT,), (ROOT,), ROOT)))
    with FaultSCP(secured(server_context(good))) as scp:
        preflight.check(replace(peer_of(scp), host="localhost"), context)
        assert scp.connections == 1


def test_a_trusted_certificate_with_settings_of_openssl(tmp_path: Path, trusting: Install) -> None:
    """The form "TRUSTED CERTIFICATE" of `openssl x509 -trustout` is no way around the check."""
    config = trusting(Case((ROOT,), (ROOT,), ROOT))
    assert config.add_cert_file
    command = [path_of("openssl"), "x509", "-trustout", "-addtrust", "serverAuth"]
    done = subprocess.run(command, input=ROOT.pem, capture_output=True, check=True)
    assert b"BEGIN TRUSTED CERTIFICATE" in done.stdout
    config.add_cert_file.write_bytes(done.stdout + HOSPITAL.pem)
    evil = ROOT.sign(tmp_path / "evil", "evil.example.org")
    assert tls_failure(config, secured(server_context(evil))).startswith(OTHER_NAME)


def test_an_odd_authority_that_the_system_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: TLSConfig
) -> None:
    """Its certificate is read, although `cryptography` cannot."""
    odd = odd_certificate(tmp_path / "odd", subject=name(PRINTABLE, b"ca_1"), extensions=AUTHORITY)
    trusting = replace(config, add_cert_file=odd.ca)
    with FaultSCP(secured(server_context(odd))) as scp:
        assert send(scu_of(scp, make_context(trusting))) == [SENT] * 3
    monkeypatch.setenv("SSL_CERT_FILE", str(odd.ca))
    assert tls_failure(trusting, secured(server_context(odd))).startswith(OTHER_NAME)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize(
    "field", [{"subject": name(PRINTABLE, b"ca_1")}, {"version": 4}, {"serial": b"\xff"}]
)
def test_an_odd_authority_that_a_public_one_signed(
    tmp_path: Path, trusting: Install, field: dict[str, Any]
) -> None:
    """If `cryptography` cannot check the signature, the name of the issuer decides."""
    odd = odd_certificate(
        tmp_path / "odd",
        **field,
        issuer=ROOT.name.public_bytes(),
        signer=ROOT.key,
        extensions=AUTHORITY,
    )
    config = replace(trusting(Case((), (ROOT,), ROOT)), add_cert_file=odd.cert)
    assert tls_failure(config, secured(server_context(odd))).startswith(OTHER_NAME)


def test_an_authority_that_only_openssl_can_read(tmp_path: Path, trusting: Install) -> None:
    """It may be public: OpenSSL accepts lengths that DER does not allow (X.690 10.1)."""
    signed = ROOT.certificate.tbs_certificate_bytes
    whole = ROOT.certificate.public_bytes(pem.Encoding.DER)
    content = signed[signed.index(b"\xa0\x03") :]
    rest = whole[whole.index(signed) + len(signed) :]
    indefinite = tlv(0x30, b"\x30\x80" + content + b"\0\0" + rest)
    config = trusting(Case((), (ROOT,), ROOT))
    assert config.add_cert_file
    config.add_cert_file.write_text(ssl.DER_cert_to_PEM_cert(indefinite))
    evil = ROOT.sign(tmp_path / "evil", "evil.example.org")
    assert tls_failure(config, secured(server_context(evil))).startswith(OTHER_NAME)


@pytest.mark.parametrize("issuer", [ROOT, HOSPITAL])
def test_all_names_are_checked_on_request(
    tmp_path: Path, trusting: Install, issuer: Authority
) -> None:
    """With tls_check_hostname, it does not matter which CA is public."""
    config = replace(trusting(Case((HOSPITAL, ROOT), (ROOT,), issuer)), check_hostname=True)
    other = issuer.sign(tmp_path / "other", "other.example.org")
    assert tls_failure(config, secured(server_context(other))).startswith(OTHER_NAME)

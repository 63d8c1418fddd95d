"""DICOM by TLS: profiles, certificates, and what is said when there is none."""

import datetime
import json
import re
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization as pem

from fw_gear_dicom_send.dicom.types import Unreadable
from fw_gear_dicom_send.errors import ConfigError, ServerError
from fw_gear_dicom_send.network import connection as transport
from fw_gear_dicom_send.network import preflight
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.tls import PROFILES, make_context
from fw_gear_dicom_send.network.types import PeerAE, StoreResult, TLSConfig
from tests.support.certificates import HOST, Identity, issue
from tests.support.client_hello import client_hello
from tests.support.fault_scp import FaultSCP, Peer, PeerLeftError, Script, serve
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import REPOSITORY, GearFolder
from tests.support.instances import dataset_of, instance, made_instance
from tests.support.pacs import Orthanc, StoreSCP
from tests.support.sample_files import encoded, made, shipped

TLS_1_2, TLS_1_3 = 0x0303, 0x0304
SUITES_OF_TLS_1_3 = {0x1301, 0x1302, 0x1303}
ECDHE_AES_GCM = {0xC02B, 0xC02C, 0xC02F, 0xC030}
DHE_AES_GCM = {0x009E, 0x009F}
CHACHA20_AND_CCM = {0xCCA8, 0xCCA9, 0xC0AC, 0xC0AD}
RENEGOTIATION_SCSV = 0x00FF
SECP256R1, X25519 = 23, 29
STRONG_GROUPS = {23, 24, 25, 29, 30, *range(0x0100, 0x0105), 0x11EB, 0x11EC, 0x11ED}
EXTENDED = "Extended BCP 195"
NO_VERSION = (
    "the server takes neither TLS 1.2 nor, where the profile has it, TLS 1.3: have a current "
    "version enabled on the server, or choose another tls_security_profile"
)
NOTHING_IN_COMMON = (
    "the server and the gear have no version or cipher suite of TLS in common: choose another "
    "tls_security_profile, or have TLS 1.2 or 1.3 with AES-GCM and ECDHE enabled on the server"
)
DAY = datetime.timedelta(days=1)
SENT = StoreResult(True)


@pytest.fixture
def server(tmp_path: Path) -> Identity:
    """What the server shows."""
    return issue(tmp_path / "server")


@pytest.fixture
def client(tmp_path: Path) -> Identity:
    """What the gear shows, of another authority."""
    return issue(tmp_path / "client")


@pytest.fixture
def config(server: Identity, client: Identity) -> TLSConfig:
    """Trust the server, and nothing else of this machine."""
    return TLSConfig(
        key=client.key,
        cert=client.cert,
        add_cert_file=server.ca,
        profile="BCP 195",
        require_peer_cert=True,
        check_hostname=False,
    )


def peer_at(port: int, host: str = HOST) -> PeerAE:
    return PeerAE(host, port, "CALLED", "CALLING")


def server_context(
    identity: Identity,
    lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> ssl.SSLContext:
    """Return a server's context, as lax as this OpenSSL can be."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = lowest, highest
    return identity.configure(context)


def secured(context: ssl.SSLContext, script: Script = serve) -> Script:
    """Return a script that shakes hands first."""

    def run(peer: Peer) -> None:
        with context.wrap_socket(peer.socket, server_side=True) as peer.socket:
            script(peer)

    return run


def failure(config: TLSConfig, script: Script) -> str:
    """Return what the check says of a server, without its place."""
    with FaultSCP(script) as server, pytest.raises(ServerError) as caught:
        preflight.check(peer_at(server.port), make_context(config))
    where, _, told = str(caught.value).partition(": ")
    assert where == f"{HOST} port {server.port}"
    return told


def send(scu: StorageSCU, number: int = 3) -> list[StoreResult]:
    results = [scu.send(made_instance(one)) for one in range(number)]
    scu.close()
    return results


def scu_of(port: int, context: ssl.SSLContext, retry_time: float = 0) -> StorageSCU:
    return StorageSCU(
        peer_at(port), lambda *_: Unreadable(""), retry_time=retry_time, ssl_context=context
    )


# Profiles


def test_the_manifest_offers_each_profile() -> None:
    """What can be chosen is what there is, and the default is among it."""
    option = json.loads((REPOSITORY / "manifest.json").read_text())["config"][
        "tls_security_profile"
    ]
    assert option["enum"] == list(PROFILES)
    assert option["default"] == "BCP 195"


@pytest.mark.parametrize(
    ("profile", "suites"),
    [
        ("BCP 195", ECDHE_AES_GCM | DHE_AES_GCM | SUITES_OF_TLS_1_3),
        ("BCP 195 RFC 8996, 9325", ECDHE_AES_GCM | SUITES_OF_TLS_1_3),
        ("Modified BCP 195 RFC 8996, 9325", ECDHE_AES_GCM | CHACHA20_AND_CCM | SUITES_OF_TLS_1_3),
        ("Non-downgrading BCP 195", ECDHE_AES_GCM | DHE_AES_GCM | SUITES_OF_TLS_1_3),
        (EXTENDED, ECDHE_AES_GCM | DHE_AES_GCM),
    ],
)
def test_what_a_profile_offers(config: TLSConfig, profile: str, suites: set[int]) -> None:
    """The first message has the suites of the profile, strong groups, and TLS 1.2 or 1.3 alone."""
    hello = client_hello(make_context(replace(config, profile=profile)))
    assert hello.ciphers - {RENEGOTIATION_SCSV} == suites
    assert hello.versions == ({TLS_1_2} if profile == EXTENDED else {TLS_1_2, TLS_1_3})
    assert {SECP256R1, X25519} <= hello.groups <= STRONG_GROUPS


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_nothing_goes_below_tls_1_2(config: TLSConfig, server: Identity, profile: str) -> None:
    """A server that takes old versions alone gets no association, and the line says why."""
    old = server_context(server, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
    told = failure(replace(config, profile=profile), secured(old))
    assert told in (NO_VERSION, NOTHING_IN_COMMON)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_current_versions_are_taken(
    config: TLSConfig, server: Identity, profile: str, version: ssl.TLSVersion
) -> None:
    """Each profile works with TLS 1.2, and with TLS 1.3 where it has it."""
    context = make_context(replace(config, profile=profile))
    with FaultSCP(secured(server_context(server, version, version))) as scp:
        (result,) = send(scu_of(scp.port, context), 1)
    assert result.sent == (version == ssl.TLSVersion.TLSv1_2 or profile != EXTENDED)


# The gear's key and certificate


def refusal(config: TLSConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        make_context(config)
    told = str(caught.value)
    assert "\n" not in told
    return told


@pytest.mark.parametrize("key_type", trustme.KeyType)
def test_keys_of_both_kinds_are_taken(
    tmp_path: Path, config: TLSConfig, server: Identity, key_type: trustme.KeyType
) -> None:
    """RSA and EC keys show the server who the gear is."""
    own = issue(tmp_path / "own", key_type=key_type)
    verifying = server_context(server)
    verifying.verify_mode = ssl.CERT_REQUIRED
    verifying.load_verify_locations(own.ca)
    context = make_context(replace(config, key=own.key, cert=own.cert))
    with FaultSCP(secured(verifying)) as scp:
        assert send(scu_of(scp.port, context)) == [SENT] * 3


def test_a_chain_is_shown_whole(tmp_path: Path, config: TLSConfig, server: Identity) -> None:
    """A server that knows the root alone is given the authorities in between."""
    root = trustme.CA()
    own = issue(tmp_path / "own", authority=root.create_child_ca())
    root_file = tmp_path / "root.pem"
    root.cert_pem.write_to_path(str(root_file))
    verifying = server_context(server)
    verifying.verify_mode = ssl.CERT_REQUIRED
    verifying.load_verify_locations(root_file)
    assert own.cert.read_text().count("BEGIN CERTIFICATE") == 2
    with FaultSCP(secured(verifying)) as scp:
        context = make_context(replace(config, key=own.key, cert=own.cert))
        assert send(scu_of(scp.port, context)) == [SENT] * 3


def test_an_encrypted_key_is_refused(tmp_path: Path, config: TLSConfig, client: Identity) -> None:
    """Nobody is asked for a password; the line says how to do without."""
    key = pem.load_pem_private_key(client.key.read_bytes(), None)
    encrypted = tmp_path / "encrypted.pem"
    encrypted.write_bytes(
        key.private_bytes(
            pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"secret")
        )
    )
    assert refusal(replace(config, key=encrypted)) == (
        "key: 'encrypted.pem, which is encrypted' was given; allowed: an unencrypted PEM file with "
        "one private key, RSA or EC (openssl pkey -in encrypted.pem -out decrypted.pem)"
    )


@pytest.mark.parametrize("content", [b"", b"\x30\x82\x01\x0a", b"-----BEGIN RSA PRIVATE KEY-----"])
def test_what_is_no_pem_is_refused(tmp_path: Path, config: TLSConfig, content: bytes) -> None:
    """Each file that cannot be read is named, with what it should be."""
    bad = tmp_path / "bad.pem"
    bad.write_bytes(content)
    told = "bad.pem' was given; allowed: "
    assert refusal(replace(config, key=bad)) == (
        f"key: '{told}an unencrypted PEM file with one private key, RSA or EC"
    )
    assert refusal(replace(config, cert=bad)) == (
        f"cert: '{told}a PEM file with the key's certificate first, then those of its chain, if any"
    )
    assert refusal(replace(config, add_cert_file=bad)) == (
        f"add_cert_file: '{told}a PEM file with one or more CA certificates"
    )


def test_key_and_certificate_that_are_swapped_are_refused(config: TLSConfig) -> None:
    """Both are PEM, but not what they should be."""
    assert refusal(replace(config, key=config.cert, cert=config.key)).startswith("key: 'cert.pem'")


def test_a_key_of_another_certificate_is_refused(config: TLSConfig, server: Identity) -> None:
    """Files that were mixed up are told to be so."""
    assert refusal(replace(config, key=server.key)).startswith(
        "cert: 'cert.pem, whose first certificate is not that of key.pem' was given; allowed: "
    )


@pytest.mark.parametrize(
    ("begin", "end"), [(-9 * DAY, -DAY), (DAY, 9 * DAY)], ids=["expired", "not yet valid"]
)
def test_a_certificate_out_of_its_time_is_refused(
    tmp_path: Path, config: TLSConfig, begin: datetime.timedelta, end: datetime.timedelta
) -> None:
    """It is told before the server is asked, with its dates."""
    now = datetime.datetime.now(datetime.UTC)
    old = issue(tmp_path / "old", not_before=now + begin, not_after=now + end)
    assert refusal(replace(config, key=old.key, cert=old.cert)) == (
        f"cert: 'cert.pem, which is valid from {now + begin:%Y-%m-%d} to {now + end:%Y-%m-%d}' was "
        "given; allowed: a certificate that is valid today"
    )


def test_a_weak_key_is_refused(tmp_path: Path, config: TLSConfig) -> None:
    """A key that no server of today takes is told before one is asked."""
    key, cert = tmp_path / "weak-key.pem", tmp_path / "weak.pem"
    make_self_signed(key, cert, bits=1024)
    assert refusal(replace(config, key=key, cert=cert)) == (
        "cert: 'weak.pem, which OpenSSL does not take (ee key too small)' was given; allowed: a "
        "key of 2048 bits RSA or 256 bits EC at least"
    )


# What is said where there is no TLS


def test_a_server_in_plain_text(config: TLSConfig) -> None:
    """A server that answers anything but TLS is told to do so."""

    def abort(peer: Peer) -> None:
        peer.abort()
        peer.close()

    assert failure(config, abort) == (
        "the server does not speak TLS: check port (2762 is the usual one for TLS), and that the "
        "server takes TLS there"
    )


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (Peer.close, "connection lost"),
        (Peer.reset, "connection lost"),
        (Peer.stand_still, "timed out"),
    ],
)
def test_a_server_that_does_not_answer_the_handshake(
    monkeypatch: pytest.MonkeyPatch, config: TLSConfig, end: Callable[[Peer], None], words: str
) -> None:
    """Nothing is known but that there is no TLS."""
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT", 0.5)

    def read_and_end(peer: Peer) -> None:
        peer.socket.recv(1 << 16)
        end(peer)

    assert failure(config, read_and_end) == (
        f"no answer to the TLS handshake ({words}): check port (2762 is the usual one for TLS), "
        "and that the server takes TLS there"
    )


def test_a_handshake_that_is_not_answered_is_tried_again(
    config: TLSConfig, server: Identity
) -> None:
    """A server that starts anew in mid-run may be caught before it can shake hands."""
    context = server_context(server)

    def lose(peer: Peer) -> None:
        peer.accept()
        peer.read_command()

    with FaultSCP(secured(context, lose), Peer.close, Peer.reset, secured(context)) as scp:
        assert send(scu_of(scp.port, make_context(config), retry_time=10)) == [SENT] * 3
        assert scp.connections == 4


def test_a_server_that_is_not_trusted(config: TLSConfig, server: Identity) -> None:
    """Without its authority a server is not sent to; the line names the input that helps."""
    told = failure(replace(config, add_cert_file=None), secured(server_context(server)))
    assert told.startswith("the server's certificate is not trusted (")
    assert told.endswith("): give the certificate of its CA, or its own, as add_cert_file")


def test_a_servers_own_certificate_can_be_trusted(config: TLSConfig, server: Identity) -> None:
    """The certificate itself will do in the place of its authority's."""
    context = make_context(replace(config, add_cert_file=server.cert))
    with FaultSCP(secured(server_context(server))) as scp:
        assert send(scu_of(scp.port, context)) == [SENT] * 3


def test_the_authorities_of_the_system_are_trusted(
    monkeypatch: pytest.MonkeyPatch, config: TLSConfig, server: Identity
) -> None:
    """A server with a certificate that the system knows needs no add_cert_file."""
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca))
    context = make_context(replace(config, add_cert_file=None))
    with FaultSCP(secured(server_context(server))) as scp:
        assert send(scu_of(scp.port, context)) == [SENT] * 3


def test_any_certificate_is_taken_if_none_is_required(
    tmp_path: Path, config: TLSConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """An unknown authority, another name and a date in the past do not matter then."""
    now = datetime.datetime.now(datetime.UTC)
    old = issue(
        tmp_path / "old", "other.example.org", not_before=now - 9 * DAY, not_after=now - DAY
    )
    lax = replace(config, require_peer_cert=False, add_cert_file=None)
    with FaultSCP(secured(server_context(old))) as scp, caplog.at_level("INFO"):
        preflight.check(peer_at(scp.port), make_context(lax))
        assert send(scu_of(scp.port, make_context(lax))) == [SENT] * 3
    (line,) = caplog.messages
    assert re.fullmatch(
        r"TLSv1\.3 with TLS_AES_256_GCM_SHA384; the server's certificate is that of "
        r"OU=Testing cert .*,O=trustme .*, issued by OU=Testing CA .*,O=trustme .*",
        line,
    )


@pytest.mark.parametrize(
    ("begin", "end", "told"),
    [
        (
            -9 * DAY,
            -DAY,
            "the server's certificate has expired (certificate has expired): have it renewed",
        ),
        (
            DAY,
            9 * DAY,
            "the server's certificate is not valid yet (certificate is not yet valid): check the "
            "clocks of both sides",
        ),
    ],
)
def test_a_server_out_of_its_time(
    tmp_path: Path,
    config: TLSConfig,
    begin: datetime.timedelta,
    end: datetime.timedelta,
    told: str,
) -> None:
    """The line says whether its certificate is too old or too new."""
    now = datetime.datetime.now(datetime.UTC)
    old = issue(tmp_path / "old", not_before=now + begin, not_after=now + end)
    assert failure(replace(config, add_cert_file=old.ca), secured(server_context(old))) == told


def test_a_server_of_another_name(tmp_path: Path, config: TLSConfig) -> None:
    """The name is checked only where that is asked for."""
    other = issue(tmp_path / "other", "pacs.example.org")
    trusting = replace(config, add_cert_file=other.ca)
    script = secured(server_context(other))
    assert failure(replace(trusting, check_hostname=True), script) == (
        "the server's certificate is for another name than destination (IP address mismatch, "
        "certificate is not valid for '127.0.0.1'.): give the name that the certificate has as "
        "destination, or set tls_check_hostname to false"
    )
    with FaultSCP(script) as scp:
        assert send(scu_of(scp.port, make_context(trusting))) == [SENT] * 3


def test_a_server_of_the_right_name(config: TLSConfig, server: Identity) -> None:
    """An address is looked for in the certificate as well."""
    context = make_context(replace(config, check_hostname=True))
    with FaultSCP(secured(server_context(server))) as scp:
        assert send(scu_of(scp.port, context)) == [SENT] * 3


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_refuses_the_gears_certificate(
    config: TLSConfig, server: Identity, version: ssl.TLSVersion
) -> None:
    """The line says so also where it is told only after the handshake, as in TLS 1.3."""
    verifying = server_context(server, version, version)
    verifying.verify_mode = ssl.CERT_REQUIRED
    verifying.load_verify_locations(server.ca)
    assert failure(config, secured(verifying)) == (
        "the server refuses the gear's certificate (unknown ca): have the CA of cert trusted by "
        "the server, or give the cert and key that it expects"
    )


def test_a_server_without_a_cipher_suite_in_common(config: TLSConfig, server: Identity) -> None:
    """A server that has what the profile leaves out is told to be so."""
    other = server_context(server, highest=ssl.TLSVersion.TLSv1_2)
    other.set_ciphers("AES256-SHA:@SECLEVEL=0")
    assert failure(config, secured(other)) == NOTHING_IN_COMMON


def test_a_server_with_a_weak_key(tmp_path: Path, config: TLSConfig) -> None:
    """A key of 1024 bits is refused by all profiles."""
    weak = tmp_path / "weak"
    weak.mkdir()
    key, cert = weak / "key.pem", weak / "cert.pem"
    make_self_signed(key, cert, bits=1024)
    script = secured(server_context(Identity(cert, cert, key)))
    told = failure(replace(config, add_cert_file=cert), script)
    assert told.startswith("the server's certificate is too weak (")


def make_self_signed(key_file: Path, cert_file: Path, bits: int) -> None:
    """Write an RSA key and a certificate of its own."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.hashes import SHA256

    key = rsa.generate_private_key(65537, bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .sign(key, SHA256())
    )
    cert_file.write_bytes(certificate.public_bytes(pem.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    )


def test_a_server_that_takes_tls_only_is_told_to_one_that_asks_in_clear() -> None:
    """An alert of TLS in the place of an answer tells what is missing."""

    def alert(peer: Peer) -> None:
        peer.read_pdu()
        peer.socket.sendall(b"\x15\x03\x03\x00\x02\x02\x0a")

    with FaultSCP(alert) as scp, pytest.raises(ServerError) as caught:
        preflight.check(peer_at(scp.port))
    assert str(caught.value) == (
        f"{HOST} port {scp.port}: the server takes TLS only: set tls_enabled, and give a key and a "
        "cert that it trusts"
    )


# Nothing in clear


def test_a_server_that_drops_tls_in_mid_run_gets_nothing(
    config: TLSConfig, server: Identity
) -> None:
    """Each reconnect begins with a handshake: not a byte of DICOM goes out in clear."""
    seen: list[bytes] = []

    def serve_one(peer: Peer) -> None:
        peer.accept()
        peer.answer(peer.read_image())
        peer.read_image()

    def in_clear(peer: Peer) -> None:
        seen.append(peer.socket.recv(1 << 16))
        peer.abort()
        raise PeerLeftError

    with FaultSCP(secured(server_context(server), serve_one), in_clear) as scp:
        results = send(scu_of(scp.port, make_context(config), retry_time=5), 4)
    assert results[0] == SENT
    assert {result.remark for result in results[1:]} == {
        f"{HOST} port {scp.port}: the server does not speak TLS"
    }
    assert seen
    assert all(data[:2] == b"\x16\x03" for data in seen)
    assert not any(b"CALLED" in data for data in seen)


def test_a_lost_association_is_opened_anew_by_tls(config: TLSConfig, server: Identity) -> None:
    """The second connection is as safe as the first, and the image that was lost arrives."""
    context = server_context(server)

    def lose(peer: Peer) -> None:
        peer.accept()
        peer.read_command()

    with FaultSCP(secured(context, lose), secured(context)) as scp:
        assert send(scu_of(scp.port, make_context(config), retry_time=5)) == [SENT] * 3
        assert scp.connections == 2


# Real servers


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("of_storescp", ["+px", "+py", "+pz"])
def test_storescp_takes_each_profile(
    config: TLSConfig, server: Identity, client: Identity, profile: str, of_storescp: str
) -> None:
    """DCMTK's own profiles, and a client certificate that it verifies."""
    options = ("+tls", str(server.key), str(server.cert), "+cf", str(client.ca), of_storescp)
    context = make_context(replace(config, profile=profile))
    path = shipped("CT_small.dcm")
    with StoreSCP(*options, "-rc", "+xa", "+B") as scp:
        scu = scu_of(scp.port, context)
        assert scu.send(instance(path)) == SENT
        scu.close()
        assert [dataset_of(one) for one in scp.received()] == [dataset_of(path)]


def test_storescp_refuses_a_certificate_that_it_does_not_know(
    config: TLSConfig, server: Identity
) -> None:
    """The line names the certificate as what is wrong."""
    options = ("+tls", str(server.key), str(server.cert), "+cf", str(server.ca))
    with StoreSCP(*options, "-rc", "+xa") as scp, pytest.raises(ServerError) as caught:
        preflight.check(peer_at(scp.port), make_context(config))
    assert "the server refuses the gear's certificate (unknown ca)" in str(caught.value)


def orthanc_by_tls(server: Identity, client: Identity, *, verifies: bool) -> Orthanc:
    return Orthanc(
        DicomTlsEnabled=True,
        DicomTlsPrivateKey=str(server.key),
        DicomTlsCertificate=str(server.cert),
        DicomTlsTrustedCertificates=str(client.ca),
        DicomTlsRemoteCertificateRequired=verifies,
    )


@pytest.mark.parametrize("verifies", [False, True])
@pytest.mark.parametrize("profile", PROFILES)
def test_orthanc_takes_each_profile(
    config: TLSConfig, server: Identity, client: Identity, profile: str, verifies: bool
) -> None:
    """Orthanc, whether it asks for the gear's certificate or not."""
    with orthanc_by_tls(server, client, verifies=verifies) as orthanc:
        context = make_context(replace(config, profile=profile))
        preflight.check(peer_at(orthanc.port), context)
        assert send(scu_of(orthanc.port, context)) == [SENT] * 3
        assert len(orthanc.ids()) == 3


def test_orthanc_by_tls_is_told_to_one_that_asks_in_clear(
    server: Identity, client: Identity
) -> None:
    """What a real server says to an association request in clear is understood."""
    with orthanc_by_tls(server, client, verifies=False) as orthanc:
        with pytest.raises(ServerError) as caught:
            preflight.check(peer_at(orthanc.port))
        assert "TLS" in str(caught.value)


def test_orthanc_in_clear_is_told_to_one_that_asks_by_tls(
    monkeypatch: pytest.MonkeyPatch, config: TLSConfig, orthanc: Orthanc
) -> None:
    """What a real server says to a handshake is understood."""
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT", 2)
    with pytest.raises(ServerError) as caught:
        preflight.check(peer_at(orthanc.port), make_context(config))
    assert "TLS" in str(caught.value)
    assert "2762" in str(caught.value)


# The whole gear


@pytest.fixture
def gear(tmp_path: Path, site: FlywheelSite) -> GearFolder:
    """The gear on a session with one image, with TLS turned on."""
    project = site.add_project(site.add_group("lab"), "Study")
    session = site.add_session(site.add_subject(project, "sub-01"), "visit 1")
    site.add_file(site.add_acquisition(session, "CT"), "ct.dcm", encoded(made(1)))
    options = {"destination": HOST, "called_ae": "PACS", "tls_enabled": True}
    return GearFolder(tmp_path / "v0", options, api_key=site.api_key, destination_id=session)


def give(gear: GearFolder, client: Identity, server: Identity | None) -> None:
    """Give the gear its key and certificate, and the server's authority."""
    gear.give("client key.pem", client.key, parent_id="p", input_name="key")
    gear.give("client.pem", client.cert, parent_id="p", input_name="cert")
    if server:
        gear.give("pacs-ca.pem", server.ca, parent_id="p", input_name="add_cert_file")


def test_the_gear_sends_by_tls(
    gear: GearFolder, site: FlywheelSite, server: Identity, client: Identity
) -> None:
    """What was negotiated stands in the log; nothing of the key does."""
    with orthanc_by_tls(server, client, verifies=True) as orthanc:
        give(gear, client, server)
        gear.config["config"]["port"] = orthanc.port
        result = gear.run()
        assert len(orthanc.ids()) == 1
    assert result.exit_code == 0, result.log
    assert site.reports[0].content.endswith(b"ct.dcm,1,1,Complete\n")
    assert re.search(
        r"TLSv1\.3 with TLS_\w+; the server's certificate is that of OU=Testing cert .*, "
        r"issued by OU=Testing CA",
        result.log,
    )
    assert client.key.read_text().splitlines()[1] not in result.log


def test_the_gear_does_not_send_to_a_server_that_it_does_not_trust(
    gear: GearFolder, site: FlywheelSite, server: Identity, client: Identity
) -> None:
    """The run ends in one line that says what to give; false takes any certificate."""
    with orthanc_by_tls(server, client, verifies=True) as orthanc:
        give(gear, client, None)
        gear.config["config"]["port"] = orthanc.port
        strict = gear.run()
        assert orthanc.ids() == {}
        gear.config["config"]["tls_require_peer_cert"] = False
        lax = gear.run()
        assert len(orthanc.ids()) == 1
    assert strict.exit_code == 1
    assert site.reports[0].content.endswith(b"ct.dcm,0,0,Failed\n")
    assert "the server's certificate is not trusted" in strict.stderr
    assert "give the certificate of its CA, or its own, as add_cert_file" in strict.stderr
    assert lax.exit_code == 0, lax.log


def test_the_gear_tells_a_key_that_it_cannot_use(gear: GearFolder, client: Identity) -> None:
    """A bad key is a bad configuration: one line, before anything is asked of anyone."""
    gear.give("key.pem", b"no key", parent_id="p", input_name="key")
    gear.give("cert.pem", client.cert, parent_id="p", input_name="cert")
    result = gear.run()
    assert result.exit_code == 1
    assert "key: 'key.pem' was given; allowed: an unencrypted PEM file" in result.stderr
    assert "Traceback" not in result.log


# The worked example


def blocks(language: str) -> list[str]:
    """Return the blocks of code in docs/tls.md."""
    text = (REPOSITORY / "docs" / "tls.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_the_example_of_the_documentation(tmp_path: Path, gear: GearFolder) -> None:
    """Its certificates, Orthanc's configuration and the gear's options work together."""
    (script,) = blocks("sh")
    orthanc_settings, options = map(json.loads, blocks("json"))
    folder = tmp_path / "certificates"
    folder.mkdir()
    subprocess.run(["sh", "-c", script], cwd=folder, check=True, capture_output=True)
    for name in ("DicomTlsPrivateKey", "DicomTlsCertificate", "DicomTlsTrustedCertificates"):
        orthanc_settings[name] = str(folder / orthanc_settings[name])
    assert orthanc_settings.pop("DicomPort") == options["port"]
    for file, input_name in (
        ("flywheel-key.pem", "key"),
        ("flywheel.pem", "cert"),
        ("pacs-ca.pem", "add_cert_file"),
    ):
        gear.give(file, folder / file, parent_id="p", input_name=input_name)
    with Orthanc(**orthanc_settings) as orthanc:
        gear.config["config"] |= options | {"port": orthanc.port}
        result = gear.run()
        assert len(orthanc.ids()) == 1
    assert result.exit_code == 0, result.log
    assert (
        "the server's certificate is that of CN=pacs.example.org, issued by CN=Example PACS CA"
        in result.log
    )


@pytest.mark.parametrize("name", PROFILES)
def test_the_table_of_profiles_is_that_of_the_code(name: str) -> None:
    """Each profile has a row, with its source and whether it has TLS 1.3."""
    text = (REPOSITORY / "docs" / "tls.md").read_text()
    (row,) = (line for line in text.splitlines() if line.startswith(f"| `{name}`"))
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[1] == ("yes" if PROFILES[name].has_tls_1_3 else "no")
    assert cells[3] == PROFILES[name].source
    assert ("DHE or" in cells[2] or "or DHE" in cells[2]) == any(
        suite.startswith("DHE") for suite in PROFILES[name].ciphers
    )

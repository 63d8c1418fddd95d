"""Certificates for both sides of a TLS connection, made with trustme."""

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256

HOST = "127.0.0.1"
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Identity:
    """Certificate authority, and a certificate with its key issued by it, each in a PEM file."""

    ca: Path
    cert: Path
    key: Path

    def configure(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """Load the certificate into a server's context."""
        context.load_cert_chain(self.cert, self.key)
        return context


def issue(
    folder: Path,
    name: str = HOST,
    *,
    authority: trustme.CA | None = None,
    key_type: trustme.KeyType = trustme.KeyType.RSA,
    not_after: datetime.datetime | None = None,
    not_before: datetime.datetime | None = None,
) -> Identity:
    """Issue a certificate for a name or an address from a new or a given authority."""
    folder.mkdir(parents=True)
    authority = authority or trustme.CA()
    leaf = authority.issue_cert(name, key_type=key_type, not_after=not_after, not_before=not_before)
    identity = Identity(*(folder / file for file in ("ca.pem", "cert.pem", "key.pem")))
    authority.cert_pem.write_to_path(identity.ca)
    identity.cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(identity.key)
    return identity


def make_self_signed(key_file: Path, cert_file: Path, bits: int) -> None:
    """Write an RSA key of this size and a self-signed certificate."""
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

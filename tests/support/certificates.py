"""Certificates for both ends of a TLS connection, made by trustme."""

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Identity:
    """A certificate authority, and a certificate of it with its key, each in a PEM file."""

    ca: Path
    cert: Path
    key: Path

    def configure(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """Let a server's context show the certificate."""
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
    """Make a certificate for a name or an address, by an authority of its own or the one given."""
    folder.mkdir(parents=True)
    authority = authority or trustme.CA()
    leaf = authority.issue_cert(name, key_type=key_type, not_after=not_after, not_before=not_before)
    identity = Identity(*(folder / file for file in ("ca.pem", "cert.pem", "key.pem")))
    authority.cert_pem.write_to_path(identity.ca)
    identity.cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(identity.key)
    return identity

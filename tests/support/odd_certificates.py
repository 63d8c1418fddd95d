"""Certificates as old toolkits write them, encoded by hand (X.690, RFC 5280 4.1)."""

import ssl
from pathlib import Path

from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from tests.support.certificates import Identity

BIT_STRING, UTF8, PRINTABLE, T61, IA5, UTC_TIME, TIME, BMP = 3, 12, 19, 20, 22, 23, 24, 30
"""Tags of values."""
COMMON_NAME = bytes.fromhex("550403")
_ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


def tlv(tag: int, value: bytes) -> bytes:
    """Encode an element: its tag, its length and its value."""
    if len(value) < 0x80:
        return bytes([tag, len(value)]) + value
    size = (len(value).bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + len(value).to_bytes(size, "big") + value


def name(tag: int, value: bytes, kind: bytes = COMMON_NAME) -> bytes:
    """Encode a name of one attribute, whose value has this tag."""
    return tlv(0x30, tlv(0x31, tlv(0x30, tlv(6, kind) + tlv(tag, value))))


def extension(oid: str, value: bytes) -> bytes:
    """Encode an extension that is not critical. `oid` is encoded, in hexadecimal."""
    return tlv(0x30, tlv(6, bytes.fromhex(oid)) + tlv(4, value))


AUTHORITY = extension("551d13", bytes.fromhex("30030101ff"))
"""Basic constraints of a CA."""
BAD_ALTERNATIVE_NAME = extension("551d11", tlv(0x30, tlv(0x87, b"???")))
"""IP address of three bytes."""


def odd_certificate(
    folder: Path,
    *,
    subject: bytes = name(UTF8, b"pacs"),
    issuer: bytes | None = None,
    signer: ec.EllipticCurvePrivateKey | None = None,
    serial: bytes = b"\x01",
    begin: bytes = tlv(UTC_TIME, b"200101000000Z"),
    end: bytes = tlv(TIME, b"20991231235959Z"),
    extensions: bytes = b"",
    version: int = 3,
) -> Identity:
    """Write a certificate and its key as PEM files. Without an issuer it is its own authority."""
    folder.mkdir(parents=True)
    key = ec.generate_private_key(ec.SECP256R1())
    fields = (
        tlv(0xA0, tlv(2, bytes([version - 1]))) if version > 1 else b"",
        tlv(2, serial),
        _ECDSA_WITH_SHA256,
        issuer or subject,
        tlv(0x30, begin + end),
        subject,
        key.public_key().public_bytes(pem.Encoding.DER, pem.PublicFormat.SubjectPublicKeyInfo),
        tlv(0xA3, tlv(0x30, extensions)) if extensions else b"",
    )
    signed = tlv(0x30, b"".join(fields))
    signature = (signer or key).sign(signed, ec.ECDSA(SHA256()))
    der = tlv(0x30, signed + _ECDSA_WITH_SHA256 + tlv(BIT_STRING, b"\0" + signature))
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_text(ssl.DER_cert_to_PEM_cert(der))
    key_file.write_bytes(
        key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    )
    return Identity(cert_file, cert_file, key_file)

"""Certificates, read as leniently as OpenSSL does (X.690, RFC 5280 4.1).

OpenSSL judges certificates; this module only reads them. Old toolkits write names, dates and
versions that OpenSSL accepts and `cryptography` does not.
"""

import re
from binascii import a2b_base64
from collections.abc import Iterator
from datetime import UTC, datetime

from ..text import printable
from ..values import frozen

_PEM = re.compile(rb"(?ms)^-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)^-----END")
_VERSION, _UTC_TIME = 0xA0, 23
_ENCODINGS = {28: "utf-32-be", 30: "utf-16-be"}
"""Encodings by the tags of strings (X.690 8.23). The others are in UTF-8 or else in Latin-1."""
_ATTRIBUTES = {
    "550403": "CN",
    "550405": "serialNumber",
    "550406": "C",
    "550407": "L",
    "550408": "ST",
    "550409": "STREET",
    "55040a": "O",
    "55040b": "OU",
    "0992268993f22c640101": "UID",
    "0992268993f22c640119": "DC",
    "2a864886f70d010901": "emailAddress",
}
"""Attribute types by their encoded object identifiers (RFC 4519 2, RFC 2985 5.2.1)."""


@frozen
class Certificate:
    """Fields of a certificate in DER; each is empty or None if it is unreadable.

    The names are in the form of RFC 4514, the times in UTC. `key` is the encoded public key with
    its algorithm.
    """

    der: bytes = b""
    subject: str = "unreadable"
    issuer: str = "unreadable"
    begins: datetime | None = None
    expires: datetime | None = None
    key: bytes = b""


def read(der: bytes) -> Certificate:
    """Return the fields of a certificate. Data after it is ignored."""
    try:
        certificate = _first(der)
        der = der[: der.index(certificate) + len(certificate)]
        fields = _fields(_first(certificate))
        issuer, validity, subject, key = fields[2:6]
        begins, expires = (_time(tag, text) for tag, text in _elements(validity))
        return Certificate(der, _name(subject), _name(issuer), begins, expires, key)
    except (ValueError, IndexError):
        return Certificate(der)


def in_pem(data: bytes) -> list[Certificate]:
    """Return the certificates in a PEM file. Raises ValueError if one is not base64."""
    return [read(a2b_base64(block)) for block in _PEM.findall(data)]


def _first(data: bytes) -> bytes:
    """Return the value of the first element."""
    return next(_elements(data), (0, b""))[1]


def _fields(signed: bytes) -> list[bytes]:
    """Return the fields of the signed part, without the optional version."""
    return [value for tag, value in _elements(signed) if tag != _VERSION]


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and the value of each element (X.690 8.1). Raises ValueError, IndexError."""
    offset = 0
    while offset < len(data):
        tag, length = data[offset], data[offset + 1]
        offset += 2
        if length >= 0x80:
            size = length - 0x80
            length = int.from_bytes(data[offset : offset + size], "big")
            offset += size
            if not size:
                raise ValueError("an element has an indefinite length")
        value = data[offset : offset + length]
        if len(value) < length:
            raise ValueError("an element is longer than the data")
        yield tag, value
        offset += length


def _time(tag: int, encoded: bytes) -> datetime | None:
    """Return a time in UTC, also without seconds or with an offset (X.680 46, 47)."""
    try:
        text = encoded.decode("ascii")
        if tag == _UTC_TIME:
            text = ("19" if text >= "50" else "20") + text
        return datetime.fromisoformat(f"{text[:8]}T{text[8:]}").astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _name(encoded: bytes) -> str:
    """Return a name in the form of RFC 4514: the last part comes first."""
    parts = [
        "+".join(_attribute(attribute) for _, attribute in _elements(part))
        for _, part in _elements(encoded)
    ]
    return printable(",".join(reversed(parts)))


def _attribute(encoded: bytes) -> str:
    (_, kind), (tag, value) = _elements(encoded)
    try:
        text = value.decode(_ENCODINGS.get(tag, "utf-8"))
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    escaped = re.sub(r'[,+"\\<>;]|^[ #]| $', r"\\\g<0>", text)
    return f"{_ATTRIBUTES.get(kind.hex(), kind.hex())}={escaped}"

"""Offers of a TLS client, read from its first message (RFC 8446 4.1.2)."""

import ssl
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

_GROUPS, _VERSIONS = 10, 43
_RECORD_HEADER, _HANDSHAKE_HEADER, _VERSION_AND_RANDOM = 5, 4, 34


@dataclass(frozen=True)
class ClientHello:
    """Code points that a client offers."""

    versions: frozenset[int]
    ciphers: frozenset[int]
    groups: frozenset[int]


def client_hello(context: ssl.SSLContext) -> ClientHello:
    """Return the offers in a connection made with this context."""
    sent = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="pacs.example.org")
    with suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    rest = sent.read()[_RECORD_HEADER + _HANDSHAKE_HEADER + _VERSION_AND_RANDOM :]
    _, rest = _vector(rest, 1)
    ciphers, rest = _vector(rest, 2)
    _, rest = _vector(rest, 1)
    extensions = dict(_extensions(_vector(rest, 2)[0]))
    # A TLS 1.2 client sends its version in another field (RFC 5246 7.4.1.2).
    versions = extensions.get(_VERSIONS, b"\x02\x03\x03")[1:]
    return ClientHello(_codes(versions), _codes(ciphers), _codes(extensions[_GROUPS][2:]))


def _vector(data: bytes, width: int) -> tuple[bytes, bytes]:
    """Split off a vector that is preceded by its length."""
    end = width + int.from_bytes(data[:width], "big")
    return data[width:end], data[end:]


def _extensions(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        value, rest = _vector(data[2:], 2)
        yield int.from_bytes(data[:2], "big"), value
        data = rest


def _codes(data: bytes) -> frozenset[int]:
    return frozenset(code for (code,) in struct.iter_unpack(">H", data))

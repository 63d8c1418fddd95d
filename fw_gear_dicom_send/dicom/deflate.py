"""Deflated datasets (PS3.5 A.5), a chunk at a time."""

import zlib
from collections.abc import Generator, Iterable, Iterator

_CHUNK = 1 << 16
_MAX_INFLATED = 1 << 30


class InflationError(Exception):
    """A deflated stream is damaged or ends early."""


class InflatedTooLargeError(InflationError):
    """A deflated stream inflates to more than 1 GiB; 5 MB can, which a zip packs to 20 KB."""


def inflate(chunks: Iterable[bytes]) -> Generator[bytes, None, int]:
    """Yield the inflated bytes of a deflated stream, and return the length of the stream.

    Raises InflationError if the stream is damaged, or inflates to more than 1 GiB.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    total = size = 0
    try:
        for chunk in chunks:
            size += len(chunk)
            data = inflater.decompress(chunk, _CHUNK)
            while data:
                total += len(data)
                if total > _MAX_INFLATED:
                    raise InflatedTooLargeError("it inflates to more than 1 GiB")
                yield data
                # After the end, zlib would count the bytes that follow twice.
                tail = b"" if inflater.eof else inflater.unconsumed_tail
                data = inflater.decompress(tail, _CHUNK)
            if inflater.eof:
                return size - len(inflater.unused_data)
    except zlib.error as exc:
        raise InflationError("its deflated data is damaged") from exc
    raise InflationError("its deflated data ends early")


def deflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the deflated stream of `chunks`, padded to even length."""
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    size = 0
    for chunk in chunks:
        data = deflater.compress(chunk)
        size += len(data)
        yield data
    data = deflater.flush()
    yield data + b"\0" * ((size + len(data)) % 2)

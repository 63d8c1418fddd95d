"""DICOM members of a tar, plain or compressed, read as a stream.

A damaged member, or one with oversized headers, costs only itself: reading continues at the next
valid header.
"""

import tarfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

from ..dicom.types import Unreadable
from ..reasons import Kind, Reason, Skipped
from ..text import printable
from ..values import frozen
from .decompress import Codec, DecompressedStream
from .formats import is_tar
from .limits import HEAD_SIZE, ByteStream, CorruptError, CountedStream, read_fully, reading
from .tar_headers import (
    BLOCK_SIZE,
    EXTENSIONS,
    FIRST_ENTRIES,
    REAL_SIZE,
    Extensions,
    Header,
    SparseMap,
    decimal,
    map_of,
    octal,
    old_numbers,
)
from .tar_stream import TarStream
from .types import BrokenArchive, FileItem
from .unpack import DeclaredMember, Unpacker

MAX_HEADER_SIZE = 1024**2
"""Limit on the size of an extension header or a sparse map."""


def compressed_items(
    file: BinaryIO, codec: Callable[[], Codec], magic: bytes, unpacker: Unpacker
) -> Iterator[FileItem | BrokenArchive]:
    """Yield the items of a compressed tar, or the item of a single compressed file."""
    with reading():
        unpacked = DecompressedStream(file, codec, magic, ignore_garbage=True)
        content = CountedStream(unpacked, unpacker.budget)
        inside = read_fully(content, HEAD_SIZE)
        if is_tar(inside):
            file.seek(0)
    if is_tar(inside):
        yield from tar_items(DecompressedStream(file, codec, magic), unpacker)
        return
    item = unpacker.from_stream(DeclaredMember(1, "", None), inside, content)
    is_unknown = item in (Skipped.NOT_DICOM, Skipped.EMPTY)
    yield BrokenArchive(Reason(Kind.UNKNOWN_TYPE)) if is_unknown else item


@frozen
class _File:
    """A regular file in a tar, `size` bytes long with its holes.

    `end` is the position behind its data; None if damage hides it.
    """

    name: str
    size: int
    end: int | None
    content: ByteStream | None = None
    """Its content, or None if a header is damaged."""


class _Data:
    """Data of a file, up to `size` bytes; raises EOFError if the tar ends before."""

    def __init__(self, stream: TarStream, size: int) -> None:
        self._stream = stream
        self._remaining = size

    def read(self, size: int) -> bytes:
        if not self._remaining:
            return b""
        data = self._stream.read(min(size, self._remaining))
        if not data:
            raise EOFError("the tar is truncated")
        self._remaining -= len(data)
        return data


class _SparseContent:
    """Content of a sparse file of `size` bytes, whose parts are in `data`."""

    def __init__(self, data: ByteStream, sparse_map: SparseMap, size: int) -> None:
        self._data = data
        self._size = size
        self._parts = iter([*sparse_map, (size, 0)])
        self._start, self._end = 0, 0
        self._position = 0

    def read(self, size: int) -> bytes:
        while self._position == self._end < self._size:
            self._start, length = next(self._parts)
            self._end = self._start + length
        if self._position < self._start:
            data = bytes(min(size, self._start - self._position))
        else:
            data = self._data.read(min(size, self._end - self._position))
        self._position += len(data)
        return data


def tar_items(
    source: ByteStream, unpacker: Unpacker, size: int | None = None
) -> Iterator[FileItem]:
    """Yield the items of a tar of `size` bytes, None if unknown; raises CorruptError at damage.

    The error comes last if members were found behind the damage.
    """
    stream = TarStream(source, unpacker.budget, size)
    number = 0
    lost: Unreadable | None = None
    while file := _next_file(stream, after_damage=lost is not None):
        if lost:
            yield lost
            lost = None
        number += 1
        name = printable(file.name)
        unreadable = Unreadable(Reason(Kind.CORRUPT_MEMBER), number, name)
        if file.end is None:
            lost = unreadable
            continue
        if file.content is None:
            yield unreadable
        else:
            with reading():
                head = read_fully(file.content, HEAD_SIZE)
            declared = DeclaredMember(number, name, file.size)
            yield unpacker.from_stream(declared, head, file.content)
        with reading():
            stream.skip_to(file.end)
    if stream.is_broken:
        raise CorruptError


def _next_file(stream: TarStream, *, after_damage: bool) -> _File | None:
    """Return the next regular file, or None at the end of the tar."""
    extensions = Extensions()
    is_announced = False
    with reading():
        expected: int | None = stream.position
        while header := stream.next_header(after_damage=after_damage):
            if expected is not None and stream.position > expected + BLOCK_SIZE:
                # They belong to a member whose own header is damaged.
                stream.is_broken |= is_announced
                extensions = Extensions()
            after_damage = False
            if header.type in EXTENSIONS:
                expected = _end_of_data(stream, header.size)
                after_damage = not _add(extensions, header, stream)
                is_announced |= header.type != tarfile.XGLTYPE
            elif header.type in tarfile.REGULAR_TYPES:
                return _file(header, extensions, stream)
            else:
                expected = _end_of_data(stream, header.data_size)
                if expected is None:
                    stream.is_broken = True
                else:
                    stream.skip_to(expected)
                extensions, is_announced = Extensions(), False
    stream.is_broken |= is_announced
    return None


def _add(extensions: Extensions, header: Header, stream: TarStream) -> bool:
    """Add what an extension header says; return False if it is damaged or too long."""
    data = b""
    try:
        if not 0 <= header.size <= MAX_HEADER_SIZE:
            raise ValueError("the header is too long")
        data = read_fully(stream, header.size + -header.size % BLOCK_SIZE)
        extensions.add(header, data[: header.size])
    except ValueError:
        # Its size may be wrong, so that it seems to contain the next headers.
        stream.rescan(data)
        extensions.is_damaged |= header.type != tarfile.XGLTYPE
        return False
    return True


def _file(header: Header, extensions: Extensions, stream: TarStream) -> _File:
    """Return the file behind its header; the stream is then at its content."""
    name = extensions.name or header.name
    size = extensions.data_size(header)
    end = _end_of_data(stream, size)
    if end is None or extensions.is_damaged:
        return _File(name, size, end)
    if header.type == tarfile.GNUTYPE_SPARSE or extensions.is_sparse:
        return _sparse_file(name, header, extensions, stream, size)
    return _File(name, size, end, _Data(stream, size))


def _sparse_file(
    name: str, header: Header, extensions: Extensions, stream: TarStream, size: int
) -> _File:
    """Return a sparse file with `size` bytes of data in the tar."""
    blocks = bytearray()
    try:
        if header.type == tarfile.GNUTYPE_SPARSE:
            numbers, real_size = _old_map(header, stream, blocks), octal(header.block[REAL_SIZE])
            end = _end_of_data(stream, size)
        elif extensions.real_size is None:
            raise ValueError("the size of the sparse file is missing")
        else:
            numbers, real_size = extensions.numbers, extensions.real_size
            end = _end_of_data(stream, size)
            if extensions.has_map_in_data:
                numbers = _map_in_data(stream, blocks)
                size -= len(blocks)
        sparse_map = map_of(numbers, size, real_size)
    except ValueError:
        stream.rescan(bytes(blocks))
        return _File(name, 0, None)
    # The holes do not count otherwise, as they take no bytes in the tar.
    data = _SparseContent(_Data(stream, size), sparse_map, real_size)
    return _File(name, real_size, end, CountedStream(data, stream.budget))


def _end_of_data(stream: TarStream, size: int) -> int | None:
    """Return the position behind the next `size` bytes; None if the tar cannot contain them."""
    if not 0 <= size <= stream.available:
        return None
    return stream.position + size + -size % BLOCK_SIZE


def _old_map(header: Header, stream: TarStream, blocks: bytearray) -> list[int]:
    """Return the numbers of an old GNU sparse map, and add the blocks behind the header."""
    numbers, is_extended = old_numbers(header.block, FIRST_ENTRIES)
    while is_extended:
        more, is_extended = old_numbers(_map_block(stream, blocks))
        numbers += more
    return numbers


def _map_in_data(stream: TarStream, blocks: bytearray) -> list[int]:
    """Return the numbers of a sparse map at the start of the data, and add its blocks."""
    lines, needed = 0, 1
    while lines < needed:
        lines += _map_block(stream, blocks).count(b"\n")
        if needed == 1 and lines:
            needed = 1 + 2 * decimal(blocks.partition(b"\n")[0])
    return [decimal(line) for line in blocks.split(b"\n", needed)[1:needed]]


def _map_block(stream: TarStream, blocks: bytearray) -> bytes:
    """Return the next block of a sparse map, and add it to `blocks`."""
    block = read_fully(stream, BLOCK_SIZE)
    blocks += block
    if len(block) < BLOCK_SIZE or len(blocks) > MAX_HEADER_SIZE:
        raise ValueError("the sparse map is too long")
    return block

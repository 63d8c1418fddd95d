"""DICOM members of a tar, plain or compressed, read as a stream."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, BinaryIO, Self, cast

from ..dicom.types import Unreadable
from ..reasons import Kind, Reason, Skipped
from ..text import printable
from .decompress import COMPRESSIONS, DecompressedStream
from .formats import is_tar
from .limits import (
    CHUNK_SIZE,
    HEAD_SIZE,
    PACKED_CHUNK_SIZE,
    ByteStream,
    CountedStream,
    EndOfTarError,
    TrailingGarbageError,
    read_fully,
    reading,
)
from .types import BrokenArchive, Member, NestedArchive
from .unpack import DeclaredMember, Unpacker

# Bytes that tarfile may read for one header; pax records and sparse maps have no limit.
TAR_HEADER_SIZE = 1024**2


Item = Member | NestedArchive | Unreadable | Skipped


def compressed_items(
    file: BinaryIO, head: bytes, unpacker: Unpacker
) -> Iterator[Item | BrokenArchive]:
    """Yield the items of a compressed tar, or the item of a single compressed file."""
    magic = next(magic for magic in COMPRESSIONS if head.startswith(magic))
    codec = COMPRESSIONS[magic]
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


def tar_items(source: ByteStream, unpacker: Unpacker) -> Iterator[Item]:
    """Yield the items of a tar; raises CorruptError at damage."""
    stream = _TarStream(CountedStream(source, unpacker.budget))
    with suppress(EndOfTarError):
        yield from _tar_members(stream, unpacker)
    # Only the end of a compressed stream shows that it is complete.
    with reading(), suppress(TrailingGarbageError):
        stream.drain()


def _tar_members(stream: "_TarStream", unpacker: Unpacker) -> Iterator[Item]:
    """Yield the items of a tar, and raise EndOfTarError at its end."""
    with reading():
        tar = _Tar.open(
            fileobj=cast(IO[bytes], stream),
            mode="r|",
            bufsize=PACKED_CHUNK_SIZE,
            encoding="utf-8",
            errors="surrogateescape",
            # `cat a.tar b.tar` continues after the end of the first tar.
            ignore_zeros=True,
        )
    number = 0
    tar.stream = stream
    with tar:
        while entry := _next(tar):
            stream.allow(tar.offset + TAR_HEADER_SIZE)
            # Neither is used later, and both grow without limit.
            tar.members.clear()
            tar.pax_headers.clear()
            if not entry.isreg():
                continue
            number += 1
            with reading():
                # A buffered reader would copy each byte again, to newly allocated pages.
                member = cast(io.BufferedReader, tar.extractfile(entry))
                content: ByteStream = member.raw
                if entry.issparse():
                    # The holes were not counted as they take no bytes in the archive.
                    content = CountedStream(content, unpacker.budget)
                head = read_fully(content, HEAD_SIZE)
            declared = DeclaredMember(number, printable(entry.name), entry.size)
            yield unpacker.from_stream(declared, head, content)


def _next(tar: "_Tar") -> tarfile.TarInfo | None:
    with reading():
        return tar.next()


# typeshed lacks these.
_END, _ZEROS = tarfile.EmptyHeaderError, tarfile.EOFHeaderError  # type: ignore[attr-defined]


class _TarHeader(tarfile.TarInfo):
    """A header that raises for each invalid block; tarfile takes some of them for the end."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        """Read the next header; raises EndOfTarError if there is none.

        Blocks of zeros end a tar (POSIX.1 pax, "ustar Interchange Format"). Another tar may follow.
        """
        tar = cast(_Tar, tarfile_)
        try:
            header = super().fromtarfile(tarfile_)
        except _ZEROS:
            tar.skip_zeros(True)
            raise
        except _END as exc:
            raise EndOfTarError from exc
        except (tarfile.HeaderError, tarfile.ReadError, TrailingGarbageError) as exc:
            if tar.is_past_end:
                raise EndOfTarError from exc
            raise tarfile.ReadError(str(exc)) from exc
        tar.skip_zeros(False)
        return header


class _Tar(tarfile.TarFile):
    tarinfo = _TarHeader
    is_past_end = False
    stream: "_TarStream | None" = None
    members: list[tarfile.TarInfo]
    pax_headers: dict[str, str]

    def skip_zeros(self, is_past_end: bool) -> None:
        """Record whether zeros ended a tar, or a header followed them."""
        self.is_past_end = is_past_end
        if self.stream:
            self.stream.skips_zeros = is_past_end


class _TarStream:
    """Source for tarfile that limits the size of headers, and raises at reads past the end."""

    def __init__(self, source: ByteStream) -> None:
        self._source = source
        self._position = 0
        self._allowed = TAR_HEADER_SIZE
        self._ended = False
        self.skips_zeros = False
        """Whether to skip chunks of zeros; there may be gigabytes of them."""

    def allow(self, position: int) -> None:
        """Allow reads that start at or before `position`."""
        self._allowed = position

    def read(self, size: int) -> bytes:
        if self._ended:
            raise EOFError("read past the end of the archive")
        if self._position > self._allowed:
            raise tarfile.ReadError("the header of a member is too long")
        data = self._source.read(size)
        zeros = 0
        while self.skips_zeros and data and not data.strip(b"\0"):
            zeros += len(data)
            data = self._source.read(size)
        data = bytes(zeros % tarfile.BLOCKSIZE) + data
        self._position += len(data)
        self._ended = not data
        return data

    def drain(self) -> None:
        """Read the rest of the source."""
        while not self._ended:
            self._ended = not self._source.read(CHUNK_SIZE)

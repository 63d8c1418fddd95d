"""The DICOM members of a tar, plain or compressed, read as a stream."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, BinaryIO, Self, cast

from ..dicom.types import Unreadable
from ..reasons import Kind, Reason
from ..text import printable
from .decompress import COMPRESSIONS, Decompressed
from .limits import (
    CHUNK_SIZE,
    HEAD_SIZE,
    PACKED_CHUNK_SIZE,
    READ_ERRORS,
    ByteStream,
    Counted,
    EndOfTarError,
    TrailingGarbageError,
    read_fully,
    reading,
)
from .types import BrokenArchive, Member
from .unpack import Declared, Unpacker

# What tarfile may read to understand one header; pax records and sparse maps have no bound.
TAR_HEADER_SIZE = 1024**2


def compressed_tar_items(
    file: BinaryIO, head: bytes, unpacker: Unpacker
) -> Iterator[Member | Unreadable | BrokenArchive]:
    """Yield the DICOM members of a tar in one of the known compressions."""
    magic = next(magic for magic in COMPRESSIONS if head.startswith(magic))
    codec = COMPRESSIONS[magic]
    with reading():
        inside = read_fully(Decompressed(file, codec, magic), tarfile.BLOCKSIZE)
        file.seek(0)
    if is_tar(inside):
        yield from tar_items(Decompressed(file, codec, magic), unpacker)
    else:
        yield BrokenArchive(Reason(Kind.UNKNOWN_TYPE))


def tar_items(source: ByteStream, unpacker: Unpacker) -> Iterator[Member | Unreadable]:
    """Yield the DICOM members of a tar; raises CorruptError where it breaks off."""
    stream = _TarStream(Counted(source, unpacker.budget))
    with suppress(EndOfTarError):
        yield from _tar_members(stream, unpacker)
    # Only the end of a compressed stream tells that it is whole.
    with reading(), suppress(TrailingGarbageError):
        stream.drain()


def _tar_members(stream: "_TarStream", unpacker: Unpacker) -> Iterator[Member | Unreadable]:
    """Yield the items of a tar up to the EndOfTarError that is raised at its end."""
    with reading():
        tar = _Tar.open(
            fileobj=cast(IO[bytes], stream),
            mode="r|",
            bufsize=PACKED_CHUNK_SIZE,
            encoding="utf-8",
            errors="surrogateescape",
        )
    number = 0
    with tar:
        while entry := _next(tar):
            stream.allow(tar.offset + TAR_HEADER_SIZE)
            # Nothing is looked up later, and both grow without a bound.
            tar.members.clear()
            tar.pax_headers.clear()
            if not entry.isreg():
                continue
            number += 1
            with reading():
                # Its buffer would copy each byte once more, by way of fresh pages.
                member = cast(io.BufferedReader, tar.extractfile(entry))
                content: ByteStream = member.raw
                if entry.issparse():
                    # Holes come out of nothing that was counted.
                    content = Counted(content, unpacker.budget)
                head = read_fully(content, HEAD_SIZE)
            if unpacker.is_dicom(head):
                yield unpacker.unpack(
                    Declared(number, printable(entry.name), entry.size), head, content
                )


def _next(tar: "_Tar") -> tarfile.TarInfo | None:
    with reading():
        return tar.next()


def is_tar(block: bytes) -> bool:
    """Tell by its checksum whether a file starts with the header of a tar member."""
    try:
        tarfile.TarInfo.frombuf(block[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except READ_ERRORS:
        return False
    return True


# typeshed does not know them.
_ENDS = (tarfile.EmptyHeaderError, tarfile.EOFHeaderError)  # type: ignore[attr-defined]


class _TarHeader(tarfile.TarInfo):
    """A header that raises for any block that is none; tarfile would call some of them the end."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        """Read the next header; raises EndOfTarError where there is none."""
        try:
            return super().fromtarfile(tarfile_)
        except _ENDS as exc:
            raise EndOfTarError from exc
        except tarfile.HeaderError as exc:
            raise tarfile.ReadError(str(exc)) from exc


class _Tar(tarfile.TarFile):
    tarinfo = _TarHeader
    members: list[tarfile.TarInfo]
    pax_headers: dict[str, str]


class _TarStream:
    """What tarfile reads, so that it neither hoards headers nor seeks for ever past the end."""

    def __init__(self, source: ByteStream) -> None:
        self._source = source
        self._position = 0
        self._allowed = TAR_HEADER_SIZE
        self._ended = False

    def allow(self, position: int) -> None:
        """Let it be read up to and a little over `position`."""
        self._allowed = position

    def read(self, size: int) -> bytes:
        if self._ended:
            raise EOFError("read past the end of the archive")
        if self._position > self._allowed:
            raise tarfile.ReadError("the header of a member is too long")
        data = self._source.read(size)
        self._position += len(data)
        self._ended = not data
        return data

    def drain(self) -> None:
        """Read what is left."""
        while not self._ended:
            self._ended = not self._source.read(CHUNK_SIZE)

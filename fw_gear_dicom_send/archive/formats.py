"""All formats of archives and compressed files: one row each, with its signatures and suffixes."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from functools import partial

from ..values import frozen
from .decompress import LZMA_MEMORY, Codec, ZlibDecompressor
from .tar_headers import BLOCK_SIZE, parse_header
from .zip_directory import DESCRIPTOR, END_RECORD, LOCAL_HEADER


@frozen
class Format:
    """A format of archives or compressed files.

    `signatures` are possible first bytes; a tar has none, but a checksum. A file with one of the
    suffixes in `archives` is an archive; one with `suffix` may be an image that is compressed.
    `codec` decompresses a whole file. `name` describes an unsupported format, with its article.
    """

    signatures: tuple[bytes, ...]
    archives: tuple[str, ...] = ()
    suffix: str = ""
    codec: Callable[[], Codec] | None = None
    name: str = ""


TAR = Format((), (".tar",))
ZIP = Format((LOCAL_HEADER, END_RECORD, DESCRIPTOR), (".zip",))
_GZIP = partial(ZlibDecompressor, zlib.MAX_WBITS + 16)
_XZ = partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, LZMA_MEMORY)
FORMATS = (
    TAR,
    ZIP,
    Format((b"\x1f\x8b\x08",), (".tgz", ".tar.gz"), ".gz", _GZIP),
    Format((b"BZh",), (".tbz2", ".tar.bz2"), ".bz2", bz2.BZ2Decompressor),
    Format((b"\xfd7zXZ\x00",), (".txz", ".tar.xz"), ".xz", _XZ),
    Format((b"7z\xbc\xaf\x27\x1c",), name="a 7z archive"),
    Format((b"Rar!\x1a\x07",), name="a RAR archive"),
    Format((b"\x28\xb5\x2f\xfd",), name="a Zstandard file"),
    Format((b"\x04\x22\x4d\x18",), name="an LZ4 file"),
    Format((b"\x1f\x9d",), name="a file compressed by compress (.Z)"),
)
_ARCHIVES = tuple(suffix for row in FORMATS for suffix in row.archives)
_SUFFIXES = (*_ARCHIVES, *(row.suffix for row in FORMATS if row.suffix))


def is_tar(head: bytes) -> bool:
    """Return whether a file starts with the header of a tar member, by its checksum."""
    return parse_header(head[:BLOCK_SIZE]) is not None


def format_of(head: bytes) -> Format | None:
    """Return the format of a file from its first bytes, None for any other file."""
    if is_tar(head):
        return TAR
    return next((row for row in FORMATS if head.startswith(row.signatures)), None)


def is_archive_name(name: str) -> bool:
    """Return whether a file in a folder is a separate input, as it has the name of an archive."""
    return name.lower().endswith(_ARCHIVES)


def is_packed_name(name: str) -> bool:
    """Return whether a file has the name of an archive or of a compressed file."""
    return name.lower().endswith(_SUFFIXES)

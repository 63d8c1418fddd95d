"""Detection of archive formats from the first bytes of a file."""

import tarfile

from .decompress import COMPRESSIONS
from .limits import READ_ERRORS
from .zip_directory import DESCRIPTOR, END_RECORD, LOCAL_HEADER

ZIP_MAGIC = (LOCAL_HEADER, END_RECORD, DESCRIPTOR)
_NESTED_MAGIC = (LOCAL_HEADER, END_RECORD, *COMPRESSIONS)
_UNSUPPORTED = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"\x04\x22\x4d\x18": "an LZ4 file",
    b"\x1f\x9d": "a file compressed by compress (.Z)",
}


def is_tar(head: bytes) -> bool:
    """Return whether a file starts with the header of a tar member, by its checksum."""
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except READ_ERRORS:
        return False
    return True


def is_archive(head: bytes) -> bool:
    """Return whether a file in an archive or a folder is itself an archive, or compressed."""
    return head.startswith(_NESTED_MAGIC) or is_tar(head)


def unsupported_format(head: bytes) -> str:
    """Return the name of an unsupported archive format, with its article; empty for others."""
    return next((name for magic, name in _UNSUPPORTED.items() if head.startswith(magic)), "")

"""CRC-32 of the dataset in an answer of WADO-RS, read block by block (PS3.18 10.4, RFC 2046)."""

import re

from ..inflation import crc32
from .messages import Response

_MAX_START = 1 << 20
"""Maximum bytes before the dataset."""
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,200})"|([^\s;,"]{1,200}))', re.IGNORECASE)
_END_OF_HEADERS = b"\r\n\r\n"
_PREAMBLE, _GROUP_LENGTH = 128, 12
_META_START = _PREAMBLE + len(b"DICM") + _GROUP_LENGTH


class ContentReader:
    """Reader of the first part of a multipart answer: a DICOM file.

    The mutable state is the CRC-32 so far, and the bytes that may belong to the next boundary.
    """

    def __init__(self) -> None:
        """Start without data."""
        self._held = b""
        self._end: bytes | None = None
        self._is_in_dataset = self._is_done = self._is_invalid = False
        self._crc = 0

    @property
    def crc32(self) -> int | None:
        """The CRC-32 of the dataset, None without a complete one."""
        return self._crc if self._is_done else None

    def take(self, response: Response, data: bytes) -> None:
        """Read a block of the answer."""
        if self._is_done or self._is_invalid:
            return
        if self._end is None:
            found = _BOUNDARY.search(response.headers.get("content-type", ""))
            boundary = (found[1] or found[2]) if found else ""
            self._is_invalid = not boundary
            self._end = f"\r\n--{boundary}".encode("latin-1")
        self._held += data
        if not self._is_in_dataset:
            self._find_dataset()
        if self._is_in_dataset:
            self._read_dataset(self._end)
        elif len(self._held) > _MAX_START:
            self._is_invalid = True

    def _find_dataset(self) -> None:
        """Skip the headers of the part and the file meta information, as soon as all is there."""
        start = self._held.find(_END_OF_HEADERS) + len(_END_OF_HEADERS)
        meta = start + _META_START
        if start < len(_END_OF_HEADERS) or len(self._held) < meta:
            return
        if self._held[start + _PREAMBLE : start + _PREAMBLE + 4] != b"DICM":
            self._is_invalid = True
            return
        # The group length is the value of the first element (PS3.10 7.1).
        end = meta + int.from_bytes(self._held[meta - 4 : meta], "little")
        if len(self._held) >= end:
            self._held = self._held[end:]
            self._is_in_dataset = True

    def _read_dataset(self, end: bytes) -> None:
        at = self._held.find(end)
        self._is_done = at >= 0
        ready = at if self._is_done else max(0, len(self._held) - len(end) + 1)
        self._crc = crc32(self._held[:ready], self._crc)
        self._held = self._held[ready:]

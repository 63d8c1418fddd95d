"""Headers of encoded elements, read at any position (PS3.5 section 7.1)."""

from struct import Struct
from typing import BinaryIO, Literal, NamedTuple

UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM = 0xFFFEE000
SEQUENCE_STARTS = (b"\xfe\xff\0\xe0", b"\xfe\xff\xdd\xe0", b"\xff\xfe\xe0\0", b"\xff\xfe\xe0\xdd")
"""Tags that may start a sequence of undefined length: an item, or the sequence delimiter."""

SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
VRS = SHORT_VRS | LONG_VRS

TAG_SIZE, MIN_HEADER, MAX_HEADER = 4, 8, 12
_WINDOW = 1 << 15
_MAX_TEXT = 1 << 16
_MAX_IRREGULAR = 3
"""Elements without a known VR to read ahead, in a row, to find the length of the first."""


class MalformedError(Exception):
    """The bytes are not a dataset, or end before the dataset does."""


class TruncatedError(MalformedError):
    """The bytes end before the dataset does."""


class Encoding(NamedTuple):
    """Encoding of elements: implicit or explicit VR, little or big endian."""

    implicit: bool
    little: bool

    @property
    def order(self) -> Literal["little", "big"]:
        """Byte order."""
        return "little" if self.little else "big"


_Form = tuple[int, int]
"""One reading of an element's header: the offset of the value, and its length."""


class Layouts(NamedTuple):
    """Layouts of an element's header in one byte order."""

    explicit: Struct
    implicit: Struct
    without_vr: Struct
    unknown: Struct
    length: Struct
    tag: Struct


LAYOUTS = tuple(
    Layouts(*(Struct(order + layout) for layout in ("HH2sH", "HHL", "HH0sL", "HH2sHL", "L", "HH")))
    for order in "><"
)
"""Layouts in big and in little endian, by `Encoding.little`."""


class HeaderReader:
    """Reader of headers in a seekable file, a window at a time."""

    def __init__(self, content: BinaryIO, size: int = -1) -> None:
        """Read from `content`, or its first `size` bytes only; the reader moves its position."""
        self._content = content
        self._base = 0
        self._window = b""
        self._size = size

    @property
    def size(self) -> int:
        """Length of the file, in bytes."""
        if self._size < 0:
            self._size = self._content.seek(0, 2)
        return self._size

    def bytes_at(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end`, or fewer if the file ends earlier."""
        if start < self._base or end > self._base + len(self._window):
            self._content.seek(start)
            self._window = self._content.read(max(_WINDOW, end - start))
            if 0 <= self._size < start + len(self._window):
                self._window = self._window[: max(self._size - start, 0)]
            self._base = start
        return self._window[start - self._base : end - self._base]

    def number(self, start: int, end: int, encoding: Encoding) -> int:
        """Return the unsigned number from `start` to `end`."""
        return int.from_bytes(self.bytes_at(start, end), encoding.order)

    def find(self, data: bytes, start: int) -> int:
        """Return the offset of `data` within one window from `start`, or -1."""
        self.bytes_at(start, start + len(data))
        found = self._window.find(data, start - self._base)
        return found if found < 0 else self._base + found

    def last(self, size: int) -> bytes:
        """Return the last bytes of the file without moving the window."""
        self._content.seek(max(self.size - size, 0))
        return self._content.read(size)

    def text(self, start: int, end: int) -> str:
        """Return the first 64 KiB of a value as text, without padding."""
        data = self.bytes_at(start, min(end, start + _MAX_TEXT))
        return data.decode("utf-8", "replace").strip(" \0")

    def tag_at(self, start: int, encoding: Encoding) -> int | None:
        """Return the tag of the element at `start`, or None if the file ends before it."""
        header = self.bytes_at(start, start + TAG_SIZE)
        if len(header) < TAG_SIZE:
            return None
        group, number = LAYOUTS[encoding.little].tag.unpack(header)
        return int(group << 16 | number)

    def has_vr(self, start: int) -> bool:
        """Return whether the element at `start` has a VR that DICOM defines."""
        return self.bytes_at(start + TAG_SIZE, start + TAG_SIZE + 2) in VRS

    def sniff(self, start: int, declared: Encoding) -> Encoding:
        """Return the actual encoding of the elements at `start`.

        Some writers declare another VR encoding than they use. The declared byte order is kept.
        If the first element has no VR, the next one decides.
        """
        header = self.bytes_at(start, start + MIN_HEADER)
        if len(header) < TAG_SIZE + 2:
            return declared
        if _is_vr(header[4:6]):
            return Encoding(False, declared.little)
        if declared.implicit or len(header) < MIN_HEADER:
            return Encoding(True, declared.little)
        headers = LAYOUTS[declared.little]
        group, number, length = headers.implicit.unpack(header)
        tag, end = group << 16 | number, start + MIN_HEADER + length
        following = self.bytes_at(end, end + MIN_HEADER)
        if len(following) == MIN_HEADER and not _is_vr(following[4:6]):
            group, number, length = headers.implicit.unpack(following)
            value = end + MIN_HEADER
            is_sequence = (
                length == UNDEFINED_LENGTH
                and self.bytes_at(value, value + TAG_SIZE) in SEQUENCE_STARTS
            )
            if group << 16 | number > tag and (is_sequence or value + length <= self.size):
                return Encoding(True, declared.little)
        forms = self._forms(start, headers)[:-1]
        is_explicit = max(self._ranks(forms, start, headers, _MAX_IRREGULAR)) > 1
        return Encoding(not is_explicit, declared.little)

    def _irregular(self, start: int, headers: Layouts) -> _Form:
        """Return the form of an element's header whose VR DICOM does not define.

        It should be the long form (PS3.5 7.1.2). Some writers use the short form for their own
        VRs, or omit the VR. The form that leads to the next element or the end of the file wins.

        Raises MalformedError if no form does, and TruncatedError if the header is truncated.
        """
        header = self.bytes_at(start, start + MAX_HEADER)
        vr = header[TAG_SIZE:][:2]
        if vr in LONG_VRS and len(header) < MAX_HEADER:
            raise TruncatedError("the header of an element is truncated")
        forms = self._forms(start, headers)
        ranks = self._ranks(forms, start, headers, _MAX_IRREGULAR)
        if not any(ranks) and not _is_vr(vr):
            raise MalformedError("an element has no VR and no plausible length")
        return forms[ranks.index(max(ranks))]

    def _forms(self, start: int, headers: Layouts) -> list[_Form]:
        """Return the possible forms of an element's header: likeliest first, implicit last."""
        header = self.bytes_at(start, start + MAX_HEADER)
        value = start + MIN_HEADER
        short = (value, headers.explicit.unpack_from(header)[3])
        implicit = (value, headers.implicit.unpack_from(header)[2])
        if len(header) < MAX_HEADER:
            return [short, implicit]
        reserved, length = headers.unknown.unpack(header)[3:]
        return [*([] if reserved else [(start + MAX_HEADER, length)]), short, implicit]

    def _ranks(self, forms: list[_Form], start: int, headers: Layouts, depth: int) -> list[int]:
        """Return how surely each form leads to another element: 0 for no, 2 for certain."""
        group, number = headers.tag.unpack_from(self.bytes_at(start, start + TAG_SIZE))
        ranks = []
        for value, length in forms:
            end = value + length
            if length == UNDEFINED_LENGTH:
                ranks.append(2 * (self.bytes_at(value, value + TAG_SIZE) in SEQUENCE_STARTS))
            elif end >= self.size:
                ranks.append(2 * (end == self.size))
            else:
                ranks.append(self._rank(end, group << 16 | number, headers, depth))
        return ranks

    def _rank(self, start: int, previous: int, headers: Layouts, depth: int) -> int:
        """Return how surely an element with a higher tag than `previous` starts at `start`."""
        header = self.bytes_at(start, start + MAX_HEADER)
        if len(header) < MIN_HEADER:
            return 1
        group, number, vr, length = headers.explicit.unpack_from(header)
        tag = group << 16 | number
        if tag <= previous or group == ITEM >> 16:
            # Zeros are padding. The length of a delimiter is zero.
            is_item = tag == ITEM or not any(header[4:8])
            return 2 * is_item if group == ITEM >> 16 else int(not any(header))
        if depth and vr not in VRS:
            return max(self._ranks(self._forms(start, headers), start, headers, depth - 1))
        if vr in LONG_VRS:
            return 2 * (not length and len(header) == MAX_HEADER)
        is_within = start + MIN_HEADER + length <= self.size
        return is_within + (vr in SHORT_VRS) if is_within else int(_is_vr(vr))


def _is_vr(vr: bytes) -> bool:
    return vr.isalpha() and vr.isupper()

"""Datasets encoded byte by byte, and strategies for data that no library writes."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack, unpack_from

import pytest
from hypothesis import strategies as st
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from fw_gear_dicom_send.dicom.types import EncodedDataset, SOPInstance

UNDEFINED = 0xFFFFFFFF
SHORT = ["AE", "AS", "CS", "DA", "DS", "IS", "LO", "LT", "PN", "SH", "ST", "UI", "UL", "US"]
LONG = ["OB", "OD", "OF", "OL", "OV", "OW", "SV", "UC", "UN", "UR", "UT", "UV"]
UNKNOWN = ["ZZ", "XA", "QB"]
SOP_CLASS, SOP_INSTANCE = 0x00080016, 0x00080018


@dataclass(frozen=True)
class Wire:
    """Encoding rules of a transfer syntax."""

    uid: str
    implicit: bool
    order: str


IMPLICIT = Wire(ImplicitVRLittleEndian, True, "<")
EXPLICIT = Wire(ExplicitVRLittleEndian, False, "<")
BIG = Wire(ExplicitVRBigEndian, False, ">")
DEFLATED = Wire(DeflatedExplicitVRLittleEndian, False, "<")
each_wire = pytest.mark.parametrize("wire", [IMPLICIT, EXPLICIT, BIG], ids=["implicit", "le", "be"])


@dataclass(frozen=True)
class RawElement:
    """Tag and the complete bytes of its element, including the header."""

    tag: int
    data: bytes


def raw_tag(tag: int, wire: Wire) -> bytes:
    """Encode a tag."""
    return pack(wire.order + "HH", tag >> 16, tag & 0xFFFF)


def element(
    tag: int,
    vr: str,
    value: bytes,
    wire: Wire,
    *,
    long: bool | None = None,
    length: int | None = None,
) -> RawElement:
    """Encode an element; `long` forces a header form, `length` sets the length field."""
    size = len(value) if length is None else length
    start = raw_tag(tag, wire)
    if wire.implicit:
        return RawElement(tag, start + pack(wire.order + "L", size) + value)
    if vr not in SHORT if long is None else long:
        return RawElement(tag, start + vr.encode() + b"\0\0" + pack(wire.order + "L", size) + value)
    return RawElement(tag, start + vr.encode() + pack(wire.order + "H", size) + value)


def text(tag: int, value: str, wire: Wire, vr: str = "LO") -> RawElement:
    """Encode a text, padded to even length."""
    pad = "\0" if vr == "UI" else " "
    return element(tag, vr, (value + pad * (len(value) % 2)).encode(), wire)


def item(content: bytes, wire: Wire, *, defined: bool) -> bytes:
    """Encode an item of defined or undefined length."""
    if defined:
        return raw_tag(0xFFFEE000, wire) + pack(wire.order + "L", len(content)) + content
    start = raw_tag(0xFFFEE000, wire) + pack(wire.order + "L", UNDEFINED)
    return start + content + raw_tag(0xFFFEE00D, wire) + bytes(4)


def sequence(
    tag: int, items: Sequence[bytes], wire: Wire, *, defined: bool, vr: str = "SQ", inner: Wire
) -> RawElement:
    """Encode a sequence; `inner` is the encoding of its items."""
    content = b"".join(items)
    if defined:
        return element(tag, vr, content, wire)
    end = raw_tag(0xFFFEE0DD, inner) + bytes(4)
    return element(tag, vr, content + end, wire, length=UNDEFINED)


def nested(levels: int, wire: Wire, content: bytes = b"") -> bytes:
    """Encode sequences of undefined length in each other, around `content`."""
    start = element(0x00181234, "SQ", b"", wire, length=UNDEFINED).data
    start += raw_tag(0xFFFEE000, wire) + pack(wire.order + "L", UNDEFINED)
    end = raw_tag(0xFFFEE00D, wire) + bytes(4) + raw_tag(0xFFFEE0DD, wire) + bytes(4)
    return start * levels + content + end * levels


def uids(wire: Wire) -> list[RawElement]:
    """Return the elements of every dataset: SOP Class UID and SOP Instance UID."""
    return [text(SOP_CLASS, CTImageStorage, wire, "UI"), text(SOP_INSTANCE, "1.2.3.4", wire, "UI")]


def group_length(group: int, value: int, wire: Wire) -> RawElement:
    """Encode a group length."""
    return element(group << 16, "UL", pack(wire.order + "L", value), wire)


def joined(elements: Sequence[RawElement]) -> bytes:
    """Return the dataset with these elements."""
    return b"".join(item.data for item in elements)


def file_meta(uid: str, sop_class: str = CTImageStorage) -> bytes:
    """Encode a file meta group, with its group length (PS3.10 7.1)."""
    meta = joined(
        [text(0x00020002, sop_class, EXPLICIT, "UI")]
        + ([text(0x00020010, uid, EXPLICIT, "UI")] if uid else [])
    )
    return group_length(0x0002, len(meta), EXPLICIT).data + meta


def part10(dataset: bytes, uid: str) -> bytes:
    """Return a DICOM file with preamble and file meta group."""
    return bytes(128) + b"DICM" + file_meta(uid) + dataset


def deflated(dataset: bytes) -> bytes:
    """Return the deflated stream of a dataset, padded to even length (PS3.5 A.5)."""
    codec = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = codec.compress(dataset) + codec.flush()
    return stream + bytes(len(stream) % 2)


def content_of(dataset: EncodedDataset) -> bytes:
    """Return all bytes of a dataset."""
    return b"".join(dataset.blocks(1 << 16))


def insertions(source: Sequence[RawElement], instance: SOPInstance, wire: Wire) -> list[RawElement]:
    """Return the bytes that are in the dataset but not in `source`.

    A group length with a different value counts as an insertion.

    Raises:
        ValueError: The dataset differs in another way.
    """
    data, at, found = content_of(instance.dataset), 0, []
    left = list(source)
    while at < len(data):
        if left and data.startswith(left[0].data, at):
            at += len(left.pop(0).data)
            continue
        group, number = unpack_from(wire.order + "HH", data, at)
        tag = group << 16 | number
        if wire.implicit:
            size = 8 + unpack_from(wire.order + "L", data, at + 4)[0]
        else:
            size = 8 + unpack_from(wire.order + "H", data, at + 6)[0]
        found.append(RawElement(tag, data[at : at + size]))
        at += size
        if left and left[0].tag == tag and number == 0:
            left.pop(0)
    if left or at != len(data):
        raise ValueError("bytes of the source are missing or changed")
    return found


_VALUES = (st.binary(max_size=40) | st.text("ABC^xyz\\ 12", max_size=20).map(str.encode)).map(
    lambda value: value[: len(value) // 2 * 2]
)


@st.composite
def raw_elements(draw: st.DrawFn, tag: int, wire: Wire, depth: int = 2) -> RawElement:
    """Draw an element with this tag, of any VR and form; its items may have any form."""
    kinds = ["value"] * 2 + (["sequence", "UN", "implicit items"] if depth else [])
    if not wire.implicit:
        kinds += ["unknown long", "unknown short"]
    kind = draw(st.sampled_from(kinds))
    match kind:
        case "value":
            return element(tag, draw(st.sampled_from(SHORT + LONG)), draw(_VALUES), wire)
        case "unknown long":
            return element(tag, draw(st.sampled_from(UNKNOWN)), draw(_VALUES), wire, long=True)
        case "unknown short":
            value = draw(_VALUES.filter(bool))
            return element(tag, draw(st.sampled_from(UNKNOWN)), value, wire, long=False)
    content = wire
    around = wire
    if kind == "UN":
        content = around = IMPLICIT
    elif kind == "implicit items":
        content = Wire(wire.uid, True, wire.order)
    items = [
        item(joined(inner), around, defined=draw(st.booleans()))
        for inner in draw(st.lists(_item_contents(content, depth - 1), max_size=3))
    ]
    vr = "UN" if kind == "UN" else "SQ"
    defined = kind == "sequence" and draw(st.booleans())
    return sequence(tag, items, wire, defined=defined, vr=vr, inner=around)


@st.composite
def _item_contents(draw: st.DrawFn, wire: Wire, depth: int) -> list[RawElement]:
    return draw(datasets(wire, st.sampled_from(_INNER_TAGS), depth))


_INNER_TAGS = [0x00080000, 0x00080100, 0x00190010, 0x00191001, 0x00210010, 0x7FE00010]


@st.composite
def datasets(
    draw: st.DrawFn, wire: Wire, tags: st.SearchStrategy[int], depth: int = 2
) -> list[RawElement]:
    """Draw elements in ascending tag order."""
    drawn = sorted(draw(st.sets(tags, max_size=5)))
    return [draw(raw_elements(tag, wire, depth)) for tag in drawn]

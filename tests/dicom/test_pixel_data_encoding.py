"""Pixel Data is encapsulated in compressed transfer syntaxes, and only there (PS3.5 A.4)."""

from io import BytesIO
from pathlib import Path

import pytest
from pydicom.uid import (
    JPEG2000,
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from fw_gear_dicom_send.dicom.elements import ElementReader, Scan
from fw_gear_dicom_send.dicom.headers import ITEM, Encoding
from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import PrivateTag, SOPInstance, Unreadable
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import datasets as raw
from tests.support import wording
from tests.support.datasets import EXPLICIT, IMPLICIT, RawElement, Wire, deflated, each_wire
from tests.support.stamping import TAG, stamped

PIXEL_DATA, ICONS = 0x7FE00010, 0x00880200
ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
JPIP = "1.2.840.10008.1.2.4.94"
GE_BIG_ENDIAN_PIXELS = "1.2.840.113619.5.2"
each_tag = pytest.mark.parametrize("tag", [None, TAG], ids=["no tag", "tag"])
each_compressed = pytest.mark.parametrize(
    "uid",
    [
        JPEGBaseline8Bit,
        JPEG2000,
        MPEG2MPML,
        RLELossless,
        ENCAPSULATED_UNCOMPRESSED,
        DEFLATED_FRAMES,
    ],
)


def native(value: bytes = bytes(64), wire: Wire = EXPLICIT, vr: str = "OW") -> RawElement:
    return raw.element(PIXEL_DATA, vr, value, wire)


def encapsulated(wire: Wire = EXPLICIT, *fragments: bytes) -> RawElement:
    items = [raw.item(fragment, wire, defined=True) for fragment in (b"", *fragments)]
    return raw.sequence(PIXEL_DATA, items, wire, defined=False, vr="OB", inner=wire)


def icons(*, wire: Wire = EXPLICIT) -> RawElement:
    """Return an Icon Image Sequence whose pixels are native, as they may be (PS3.5 A.4)."""
    item = raw.item(native(wire=wire).data, wire, defined=False)
    return raw.sequence(ICONS, [item], wire, defined=False, inner=wire)


def file(uid: str, *elements: RawElement, wire: Wire = EXPLICIT) -> bytes:
    return raw.part10(raw.joined([*raw.uids(wire), *elements]), uid)


def is_refused(data: bytes, tag: PrivateTag | None, work: Path) -> bool:
    """Return whether Pixel Data is the reason for refusing a file, which must be closed."""
    content = BytesIO(data)
    outcome = stamp(content, tag, work)
    assert content.closed
    return isinstance(outcome, Unreadable) and outcome.reason.kind is Kind.PIXEL_DATA_ENCODING


@each_tag
@each_compressed
def test_native_pixels_in_a_compressed_syntax(
    uid: str, tag: PrivateTag | None, tmp_path: Path
) -> None:
    """An image whose Pixel Data has a defined length fails before it is offered."""
    assert is_refused(file(uid, native()), tag, tmp_path)


@each_tag
@pytest.mark.parametrize(
    "elements",
    [
        [native(b"")],
        [native(encapsulated(EXPLICIT, b"ab").data[12:], vr="OB")],
        [icons(), native()],
        [native(), raw.element(0xFFFCFFFC, "OB", bytes(10), EXPLICIT)],
        [native(), raw.text(0x00100020, "late", EXPLICIT)],
    ],
    ids=["empty", "fragments", "icon", "padding", "disorder"],
)
def test_other_native_pixels(
    elements: list[RawElement], tag: PrivateTag | None, tmp_path: Path
) -> None:
    """An empty value, fragments in a defined length and other elements make no difference."""
    assert is_refused(file(RLELossless, *elements), tag, tmp_path)


def test_native_pixels_of_implicit_vr(tmp_path: Path) -> None:
    """The VR encoding makes no difference."""
    content = BytesIO(file(RLELossless, native(wire=IMPLICIT), wire=IMPLICIT))
    outcome = stamp(content, TAG, tmp_path)
    detail = "not encapsulated, but RLE Lossless requires that"
    assert outcome == Unreadable(Reason(Kind.PIXEL_DATA_ENCODING, detail))
    assert outcome.reason.text == f"{wording.PIXEL_DATA_IS} {detail}"


@each_tag
@each_compressed
def test_encapsulated_pixels_in_a_compressed_syntax(
    uid: str, tag: PrivateTag | None, tmp_path: Path
) -> None:
    """Encapsulated Pixel Data is sent; native pixels of an icon before or after it are allowed."""
    after = raw.sequence(
        0xFFFAFFFA,
        [raw.item(b"", EXPLICIT, defined=False)],
        EXPLICIT,
        defined=False,
        inner=EXPLICIT,
    )
    outcome = stamp(
        BytesIO(file(uid, icons(), encapsulated(EXPLICIT, b"abcd"), after)), tag, tmp_path
    )
    assert isinstance(outcome, SOPInstance)
    assert outcome.remarks == ()


@each_compressed
def test_other_pixels_in_a_compressed_syntax(uid: str, tmp_path: Path) -> None:
    """Float pixels, and images without pixels, are left to the server."""
    floats = raw.element(0x7FE00008, "OF", bytes(64), EXPLICIT)
    assert stamped(file(uid, floats), tmp_path).remarks == ()
    assert stamped(file(uid, icons()), tmp_path).remarks == ()


@pytest.mark.parametrize("uid", [JPIP, "1.2.3.4"])
@pytest.mark.parametrize("pixels", [native(), encapsulated(EXPLICIT, b"ab")])
def test_other_syntaxes_are_left_to_the_server(
    uid: str, pixels: RawElement, tmp_path: Path
) -> None:
    """JPIP has its pixels elsewhere, and the rules of private transfer syntaxes are unknown."""
    assert stamped(file(uid, pixels), tmp_path).remarks == ()


@each_wire
@pytest.mark.parametrize("value", [b"", bytes(64)])
def test_native_pixels_in_an_uncompressed_syntax(wire: Wire, value: bytes, tmp_path: Path) -> None:
    """Native Pixel Data needs no remark, and neither does an icon in fragments."""
    item = raw.item(encapsulated(wire, b"ab").data, wire, defined=False)
    icon = raw.sequence(ICONS, [item], wire, defined=False, inner=wire)
    content = file(wire.uid, icon, native(value, wire), wire=wire)
    assert stamped(content, tmp_path).remarks == ()


@each_wire
def test_encapsulated_pixels_in_an_uncompressed_syntax(wire: Wire, tmp_path: Path) -> None:
    """The image is sent, as some servers store it, with a remark."""
    outcome = stamped(file(wire.uid, encapsulated(wire, b"ab"), wire=wire), tmp_path)
    assert [remark.kind for remark in outcome.remarks] == [Kind.PIXEL_DATA_ENCODING]


def test_encapsulated_pixels_of_ge(tmp_path: Path) -> None:
    """GE's private transfer syntax is uncompressed."""
    data = file(GE_BIG_ENDIAN_PIXELS, encapsulated(IMPLICIT, b"ab"), wire=IMPLICIT)
    outcome = stamped(data, tmp_path)
    assert [remark.kind for remark in outcome.remarks] == [Kind.PIXEL_DATA_ENCODING]


def test_both_flaws_are_remarked(tmp_path: Path) -> None:
    """An odd fragment is padded, which needs another remark."""
    outcome = stamped(file(EXPLICIT.uid, encapsulated(EXPLICIT, b"abc")), tmp_path)
    kinds = [remark.kind for remark in outcome.remarks]
    assert kinds == [Kind.PIXEL_DATA_ENCODING, Kind.REPAIRED]


def test_only_noted_elements_are_remembered() -> None:
    """Other sequences of undefined length take no memory, however many there are."""
    data = raw.joined([*raw.uids(EXPLICIT), icons(), encapsulated(EXPLICIT, b"ab")])
    scan = Scan(0)
    encoding = Encoding(implicit=False, little=True)
    ElementReader(BytesIO(data)).advance(scan, encoding, (PIXEL_DATA, ITEM))
    assert scan.undefined == {PIXEL_DATA}


def test_pixels_in_a_deflated_dataset(tmp_path: Path) -> None:
    """A deflated dataset is uncompressed in this sense."""
    uid = DeflatedExplicitVRLittleEndian
    native_file, coded_file = (
        raw.part10(deflated(raw.joined([*raw.uids(EXPLICIT), pixels])), uid)
        for pixels in (native(), encapsulated(EXPLICIT, b"ab"))
    )
    assert stamped(native_file, tmp_path).remarks == ()
    assert stamped(coded_file, tmp_path).remarks == (
        Reason(
            Kind.PIXEL_DATA_ENCODING,
            "encapsulated, but Deflated Explicit VR Little Endian rules that out",
        ),
    )

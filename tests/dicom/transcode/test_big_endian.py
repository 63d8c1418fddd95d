"""Big-endian datasets are converted to little-endian ones with the same values."""

from pathlib import Path

import pydicom
import pytest
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from fw_gear_dicom_send.dicom.transcode.recoding import CHUNK
from tests.support import datasets as raw
from tests.support.datasets import BIG, EXPLICIT, IMPLICIT
from tests.support.sample_files import shipped
from tests.support.transcoding import BOTH, bare, converted, differences, encoded_by, refused


@pytest.mark.parametrize("target", BOTH)
@pytest.mark.parametrize(
    ("big", "little"),
    [
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("SC_rgb_small_odd_big_endian.dcm", "SC_rgb_small_odd.dcm"),
        ("liver_expb_1frame.dcm", "liver_1frame.dcm"),
    ],
)
def test_big_endian_becomes_its_little_endian_twin(
    big: str, little: str, target: str, tmp_path: Path
) -> None:
    """All values, and all words and bytes of pixels, equal those of the little-endian file."""
    dataset = converted(shipped(big).read_bytes(), target, tmp_path)

    assert dataset.PixelData == pydicom.dcmread(shipped(little)).PixelData
    assert differences(pydicom.dcmread(shipped(big)), dataset, [Tag("PixelData")]) == []


def test_big_endian_words_are_swapped_everywhere(tmp_path: Path) -> None:
    """Words of every width are swapped, also in items; OB and UN are unchanged."""
    words = "00186060 4644 0008 0102030405060708  00281201 4f57 0000 00000002 0102"
    words += "00660016 4f46 0000 00000004 01020304"
    words += "00720073 4f44 0000 00000008 0102030405060708"
    words += "00420011 4f42 0000 00000002 0102  00430011 554e 0000 00000002 0102"
    size = len(bytes.fromhex(words))
    data = bytes.fromhex(f"00081140 5351 0000 {size + 8:08x} fffee000 {size:08x}" + words)

    out = encoded_by(bare(data, ExplicitVRBigEndian), ImplicitVRLittleEndian, tmp_path)

    item = "18006060 08000000 0807060504030201 28000112 02000000 0201  66001600 04000000 04030201"
    item += "72007300 08000000 0807060504030201 42001100 02000000 0102 43001100 02000000 0102"
    sequence = "08004011 ffffffff feff00e0 ffffffff" + item
    assert out == bytes.fromhex(sequence + "feff0de0 00000000 feffdde0 00000000")


WORD_SIZES = {
    1: ("OB", "UN", "LO", "UI", "PN", "IS"),
    2: ("AT", "OW", "SS", "US"),
    4: ("FL", "OF", "OL", "SL", "UL"),
    8: ("FD", "OD", "OV", "SV", "UV"),
}


@pytest.mark.parametrize(
    ("size", "vr"), [(size, vr) for size, vrs in WORD_SIZES.items() for vr in vrs]
)
def test_a_value_is_swapped_by_the_words_of_its_vr(size: int, vr: str, tmp_path: Path) -> None:
    """Each word of a multi-valued element is swapped separately (PS3.5 7.3)."""
    words = [bytes(range(size * n, size * (n + 1))) for n in range(16 // size)]
    is_long = vr in ("OB", "OD", "OF", "OL", "OV", "OW", "SV", "UN", "UV")
    source, target = (
        raw.element(0x00189999, vr, b"".join(value), wire, long=is_long)
        for value, wire in ((words, BIG), ([word[::-1] for word in words], EXPLICIT))
    )
    assert encoded_by(bare(source.data, BIG.uid), EXPLICIT.uid, tmp_path) == target.data


GE_BIG_ENDIAN_PIXELS = "1.2.840.113619.5.2"


def ge_pixels(allocated: int, value: bytes, **pixels: int) -> bytes:
    """Return elements of GE's transfer syntax, which is little endian except for pixels."""
    bits = raw.element(0x00280100, "US", allocated.to_bytes(2, "little"), IMPLICIT)
    return raw.joined([bits, raw.element(0x7FE00010, "OW", value, IMPLICIT, **pixels)])


@pytest.mark.parametrize("target", BOTH)
@pytest.mark.parametrize(
    ("allocated", "value", "expected"),
    [
        (16, b"\1\2\3\4", b"\2\1\4\3"),
        (16, b"\1\2" * CHUNK, b"\2\1" * CHUNK),
        (8, b"\1\2\3\4", b"\1\2\3\4"),
    ],
    ids=["16 bits", "many", "8 bits"],
)
def test_pixels_of_ge_are_swapped(
    allocated: int, value: bytes, expected: bytes, target: str, tmp_path: Path
) -> None:
    """Pixels of 16 bits are swapped, also in icons; pixels of 8 bits and all else are not."""
    icon, expected_icon = (
        raw.sequence(
            0x00880200,
            [raw.item(ge_pixels(allocated, pixels), IMPLICIT, defined=False)],
            IMPLICIT,
            defined=False,
            inner=IMPLICIT,
        )
        for pixels in (value, expected)
    )
    before = raw.element(0x00280010, "US", b"\1\2", IMPLICIT).data
    source = before + icon.data + ge_pixels(allocated, value)
    twin = before + expected_icon.data + ge_pixels(allocated, expected)
    out = encoded_by(bare(source, GE_BIG_ENDIAN_PIXELS), target, tmp_path)
    assert out == encoded_by(bare(twin, ImplicitVRLittleEndian), target, tmp_path)


@pytest.mark.parametrize("allocated", [0, 1, 12, 32, 64])
def test_other_pixels_of_ge_are_ambiguous(allocated: int, tmp_path: Path) -> None:
    """The order of other pixels is unknown, and the reason says so."""
    source = bare(ge_pixels(allocated, bytes(16)), GE_BIG_ENDIAN_PIXELS)
    assert refused(source, tmp_path) == f"the byte order of {allocated}-bit pixels is unknown"


def test_fragments_of_ge_are_not_pixels(tmp_path: Path) -> None:
    """Encapsulated pixels are not decoded, as nothing names their compression."""
    source = bare(ge_pixels(16, b"", length=raw.UNDEFINED), GE_BIG_ENDIAN_PIXELS)
    assert refused(source, tmp_path) == "an element of undefined length is not a sequence"

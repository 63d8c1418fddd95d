"""Truncated files are detected before they are sent, each individually."""

from io import BytesIO
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import PrivateTag, SOPInstance, Span, Unreadable
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import datasets as raw
from tests.support import wording
from tests.support.datasets import EXPLICIT, IMPLICIT, Wire, content_of, each_wire
from tests.support.element_places import element_starts
from tests.support.sample_files import encoded, made, shipped
from tests.support.stamping import TAG, refused, stamped

each_tag = pytest.mark.parametrize(
    "tag", [None, TAG, PrivateTag(0x7FE1, "Flywheel", "DICOM send")], ids=["none", "21", "7fe1"]
)


def reason(file: bytes, work: Path, tag: PrivateTag | None = TAG) -> Reason:
    outcome = stamp(BytesIO(file), tag, work)
    assert isinstance(outcome, Unreadable)
    return outcome.reason


@each_tag
@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("MR_truncated.dcm", "Pixel Data has 8,130 of 8,192 bytes"),
        ("rtplan_truncated.dcm", "Beam Sequence has 711 of 976 bytes"),
    ],
)
def test_truncated_value(name: str, detail: str, tag: PrivateTag | None, tmp_path: Path) -> None:
    """The reason names the truncated element and how much of it is present."""
    file = shipped(name).read_bytes()
    assert reason(file, tmp_path, tag) == Reason(Kind.TRUNCATED, detail)


@each_tag
@pytest.mark.parametrize("kept", [0, 0.4, 0.7, 0.999])
def test_truncated_frames(kept: float, tag: PrivateTag | None, tmp_path: Path) -> None:
    """Encapsulated pixel data without its delimiter is truncated."""
    file = shipped("SC_rgb_rle_2frame.dcm").read_bytes()
    start = file.index(b"\xe0\x7f\x10\0OB") + 12
    cut = file[: start + int((len(file) - start) * kept)]
    assert reason(cut, tmp_path, tag) == Reason(Kind.TRUNCATED, "it ends within Pixel Data")


@each_wire
@pytest.mark.parametrize("size", range(2, 12))
def test_truncated_header(wire: Wire, size: int, tmp_path: Path) -> None:
    """A partial element header, even of a tag only, is not padding."""
    header = raw.element(0x0040A730, "OB", bytes(100), wire).data[:size]
    file = raw.part10(raw.joined(raw.uids(wire)) + header, wire.uid)
    assert f"{wording.FILE_TRUNCATED}: " in refused(file, tmp_path)


def test_a_single_byte_is_singular(tmp_path: Path) -> None:
    """A value whose only byte is missing has `0 of 1 byte`."""
    cut = raw.element(0x0040A730, "OB", b"", EXPLICIT, length=1)
    file = raw.part10(raw.joined([*raw.uids(EXPLICIT), cut]), EXPLICIT.uid)
    assert refused(file, tmp_path).endswith(" has 0 of 1 byte")


@pytest.mark.parametrize("wire", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
def test_the_number_of_an_unknown_element_is_not_a_value(wire: Wire, tmp_path: Path) -> None:
    """An element unknown to DICOM is named by number only if it has a VR."""
    cut = raw.element(0x00191001, "OB", b"abc", wire, length=1000)
    file = raw.part10(raw.joined([*raw.uids(wire), cut]), wire.uid)
    text = refused(file, tmp_path)
    assert ("(0019,1001) has 3 of 1,000 bytes" in text) is not wire.implicit
    assert "truncated" in text or "damaged" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["MR_small.dcm", "rtplan.dcm", "reportsi.dcm", "MR_small_bigendian.dcm"]
)
def test_cut_anywhere(name: str, tmp_path: Path) -> None:
    """A truncated file is sent only if it ends between two elements, or a byte later."""
    file = shipped(name).read_bytes()
    places = {*element_starts(file), len(file)}
    for length in [*range(2400), *range(len(file) - 200, len(file))]:
        outcome = stamp(BytesIO(file[:length]), TAG, tmp_path)
        if isinstance(outcome, SOPInstance):
            assert {length, length - 1} & places or length > max(places - {len(file)})
            spans = [piece for piece in outcome.dataset.pieces if isinstance(piece, Span)]
            assert [span.end for span in spans[:-1]] == [span.start for span in spans[1:]]
            assert spans[-1].end in places | {length}


def test_missing_pixel_data(tmp_path: Path) -> None:
    """An image that is truncated right before its Pixel Data is sent with a remark."""
    dataset = made(1)
    del dataset.PixelData
    assert stamped(encoded(dataset), tmp_path).remarks == (Reason(Kind.NO_PIXEL_DATA),)
    assert stamped(encoded(made(1)), tmp_path).remarks == ()


@pytest.mark.parametrize(
    "keyword", ["FloatPixelData", "DoubleFloatPixelData", "PixelDataProviderURL"]
)
def test_other_pixel_data(keyword: str, tmp_path: Path) -> None:
    """Pixels may be of another kind or in another place."""
    dataset = made(1)
    del dataset.PixelData
    setattr(dataset, keyword, "http://pixels" if keyword.endswith("URL") else bytes(1024))
    assert stamped(encoded(dataset), tmp_path).remarks == ()


@each_wire
@pytest.mark.parametrize("rest", [b"", bytes(2), bytes(100000)])
@pytest.mark.parametrize("is_padded", [False, True])
def test_complete_files(wire: Wire, rest: bytes, is_padded: bool, tmp_path: Path) -> None:
    """Padding after the pixel data, of either kind, does not make a file truncated."""
    elements = [*raw.uids(wire), raw.element(0x7FE00010, "OW", b"\1\2" * 50000, wire)]
    if is_padded:
        elements.append(raw.element(0xFFFCFFFC, "OB", bytes(10), wire))
    file = raw.part10(raw.joined(elements) + rest, wire.uid)
    assert len(content_of(stamped(file, tmp_path).dataset)) > 100000


@pytest.mark.parametrize("more", [2, 1 << 20])
@pytest.mark.parametrize("tag", [None, TAG], ids=["none", "21"])
def test_damage_is_not_truncation(more: int, tag: PrivateTag | None, tmp_path: Path) -> None:
    """A file that ends with its complete Pixel Data is complete, whatever another length claims."""
    item = raw.item(raw.text(0x00081150, "1.2.3", EXPLICIT, "UI").data, EXPLICIT, defined=True)
    sequence = raw.element(0x00081140, "SQ", item, EXPLICIT, length=len(item) + more)
    pixels = raw.element(0x7FE00010, "OW", b"\1\2" * 1000, EXPLICIT)
    dataset = raw.joined([*raw.uids(EXPLICIT), sequence, pixels])
    outcome = stamp(BytesIO(raw.part10(dataset, EXPLICIT.uid)), tag, tmp_path)
    if tag is None:
        assert isinstance(outcome, SOPInstance)
    else:
        assert isinstance(outcome, Unreadable)
        assert outcome.reason.kind is Kind.DAMAGED

"""Bytes after the last element are not sent, and the image gets a remark with their number."""

import zlib
from io import BytesIO
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import PrivateTag, SOPInstance, Unreadable
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import datasets as raw
from tests.support.datasets import DEFLATED, EXPLICIT, IMPLICIT, Wire, content_of, each_wire
from tests.support.instances import dataset_of
from tests.support.sample_files import encoded, made, shipped
from tests.support.stamping import TAG, ours

SECOND = encoded(made(2))
TEXT = b"--boundary of a multipart message--\r\n"
each_tag = pytest.mark.parametrize(
    "tag", [None, TAG, PrivateTag(0x7FE1, "Flywheel", "DICOM send")], ids=["none", "21", "7fe1"]
)
each_rest = pytest.mark.parametrize(
    "rest",
    [b"\0", b"abc", bytes(8), bytes(1001), b"\xff" * 99, TEXT, SECOND, SECOND[128:], SECOND[132:]],
    ids=["nul", "short", "zeros", "odd", "ones", "text", "file", "prefix", "meta"],
)


def sent(file: bytes, work: Path, tag: PrivateTag | None) -> SOPInstance:
    outcome = stamp(BytesIO(file), tag, work)
    assert isinstance(outcome, SOPInstance), outcome
    return outcome


def remark(size: int) -> tuple[Reason, ...]:
    return (Reason(Kind.TRAILING_BYTES, f"{size:,} byte" + "s" * (size > 1)),)


@each_tag
@each_rest
@pytest.mark.parametrize(
    "name",
    ["MR_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "JPEG2000.dcm"],
)
def test_image(name: str, rest: bytes, tag: PrivateTag | None, tmp_path: Path) -> None:
    """Whatever follows complete pixels, the image arrives like the image alone."""
    file = shipped(name).read_bytes()
    alone, instance = sent(file, tmp_path, tag), sent(file + rest, tmp_path, tag)
    assert content_of(instance.dataset) == content_of(alone.dataset)
    assert instance.remarks == (*alone.remarks, *remark(len(rest)))


@each_wire
@each_tag
def test_second_dataset(wire: Wire, tag: PrivateTag | None, tmp_path: Path) -> None:
    """A dataset that starts with the same element after the pixels is another image."""
    pixels = raw.element(0x7FE00010, "OW", bytes(8), wire)
    first = raw.joined([*raw.uids(wire), pixels])
    file = raw.part10(first + first.replace(b"1.2.3.4\0", b"1.2.3.5\0"), wire.uid)
    instance = sent(file, tmp_path, tag)
    assert instance.sop_instance_uid == "1.2.3.4"
    assert instance.remarks == remark(len(first))


@each_wire
@each_tag
@pytest.mark.parametrize("size", [4, 64])
def test_zeros_after_an_icon(size: int, wire: Wire, tag: PrivateTag | None, tmp_path: Path) -> None:
    """Pixels of an icon that end with the dataset do not make the zeros after it a part of it."""
    pixels = raw.element(0x7FE00010, "OW", bytes(range(1, 9)), wire).data
    icon = raw.item(pixels, wire, defined=True)
    sequence = raw.sequence(0x00880200, [icon], wire, defined=True, inner=wire)
    file = raw.part10(raw.joined([*raw.uids(wire), sequence]), wire.uid)
    alone, instance = sent(file, tmp_path, tag), sent(file + bytes(size), tmp_path, tag)
    assert content_of(instance.dataset) == content_of(alone.dataset)
    assert instance.remarks == remark(size)


@each_tag
def test_trailing_padding_is_an_element(tag: PrivateTag | None, tmp_path: Path) -> None:
    """Data Set Trailing Padding belongs to the dataset (PS3.10 7.2)."""
    padding = raw.element(0xFFFCFFFC, "OB", bytes(10), EXPLICIT).data
    file = encoded(made(1)) + padding
    instance = sent(file + TEXT, tmp_path, tag)
    assert content_of(instance.dataset).endswith(padding)
    assert instance.remarks == remark(len(TEXT))


@each_tag
@pytest.mark.parametrize("rest", [bytes(2), bytes(5000), SECOND])
def test_dataset_without_pixels(rest: bytes, tag: PrivateTag | None, tmp_path: Path) -> None:
    """Zeros or a file after a report are not sent."""
    file = shipped("reportsi.dcm").read_bytes()
    alone, instance = sent(file, tmp_path, tag), sent(file + rest, tmp_path, tag)
    assert content_of(instance.dataset) == content_of(alone.dataset)
    assert instance.remarks == remark(len(rest))


def test_other_bytes_after_a_dataset_without_pixels(tmp_path: Path) -> None:
    """Without pixels, other bytes may be the rest of a damaged value."""
    outcome = stamp(BytesIO(shipped("reportsi.dcm").read_bytes() + TEXT), TAG, tmp_path)
    assert isinstance(outcome, Unreadable)
    assert outcome.reason.kind is Kind.DAMAGED


@each_wire
@pytest.mark.parametrize("tag", [0x7FE10010, 0xFFFAFFFA, 0xFFFCFFFC], ids=hex)
def test_truncated_element_after_the_pixels(wire: Wire, tag: int, tmp_path: Path) -> None:
    """The start of another element is not a trailing byte."""
    cut = raw.element(tag, "LO", bytes(8), wire, length=100, long=False)
    pixels = raw.element(0x7FE00010, "OW", b"\1\2" * 4, wire)
    file = raw.part10(raw.joined([*raw.uids(wire), pixels, cut]), wire.uid)
    outcome = stamp(BytesIO(file), TAG, tmp_path)
    assert isinstance(outcome, Unreadable)
    assert outcome.reason.kind in (Kind.TRUNCATED, Kind.DAMAGED)


@each_wire
@pytest.mark.parametrize(
    ("frames", "samples", "is_whole"),
    [("1", 1, True), ("2", 1, False), ("1", 3, False), ("x", 1, True), ("9" * 5000, 1, False)],
)
def test_pixels_shorter_than_described(
    wire: Wire, frames: str, samples: int, is_whole: bool, tmp_path: Path
) -> None:
    """Bytes after pixels that are too short may be the missing pixels."""
    order = "little" if wire.order == "<" else "big"
    numbers = {0x00280002: samples, 0x00280010: 2, 0x00280011: 4, 0x00280100: 16}
    values = [raw.element(t, "US", n.to_bytes(2, order), wire) for t, n in numbers.items()]
    values.append(raw.element(0x00280008, "UT", frames.encode(), wire))
    elements = [*raw.uids(wire), *sorted(values, key=lambda element: element.tag)]
    elements.append(raw.element(0x7FE00010, "OW", bytes(16), wire))
    file = raw.part10(raw.joined(elements) + TEXT, wire.uid)
    outcome = stamp(BytesIO(file), TAG, tmp_path)
    assert isinstance(outcome, SOPInstance) is is_whole


@pytest.mark.slow
@each_tag
@pytest.mark.parametrize("is_inside", [False, True])
@pytest.mark.parametrize("rest", [bytes(100), TEXT, SECOND])
def test_deflated(is_inside: bool, rest: bytes, tag: PrivateTag | None, tmp_path: Path) -> None:
    """Bytes after a deflated stream, and after the dataset in it, are not sent."""
    dataset = dataset_of(encoded(made(1)))

    def deflated(data: bytes) -> bytes:
        codec = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        stream = codec.compress(data) + codec.flush()
        return stream + b"\0" * (len(stream) % 2)

    stream = deflated(dataset + rest) if is_inside else deflated(dataset) + rest
    instance = sent(raw.part10(stream, DEFLATED.uid), tmp_path, tag)
    content = content_of(instance.dataset)
    decoder = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    inflated = decoder.decompress(content)
    assert decoder.unused_data in (b"", b"\0")
    assert inflated == dataset if tag is None else len(inflated) == len(dataset) + 34
    assert instance.remarks == remark(len(rest))


def test_zeros_after_damage_are_kept(tmp_path: Path) -> None:
    """A length that leads into black pixels does not make them trailing bytes."""
    thickness = raw.text(0x00180050, "1.5 ", EXPLICIT, "DS").data.replace(b"\4\0", b"\x40\x80")
    pixels = raw.element(0x7FE00010, "OW", bytes(100000), EXPLICIT).data
    dataset = raw.joined(raw.uids(EXPLICIT)) + thickness + pixels
    instance = sent(raw.part10(dataset, EXPLICIT.uid), tmp_path, None)
    assert content_of(instance.dataset) == dataset


@pytest.mark.parametrize("wire", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
def test_group_of_the_tag(wire: Wire, tmp_path: Path) -> None:
    """The private group of a file that follows is not taken for that of the image."""
    pixels = raw.element(0x7FE00010, "OW", bytes(8), wire)
    first = raw.joined([*raw.uids(wire), pixels])
    second = raw.joined([*raw.uids(wire), *ours(0x10, wire), pixels])
    content = content_of(sent(raw.part10(first + second, wire.uid), tmp_path, TAG).dataset)
    assert content == second


@pytest.mark.parametrize("number", [1, 10, 100, 1000, 9999])
def test_a_deflated_stream_of_any_size_is_whole(number: int, tmp_path: Path) -> None:
    """The last inflated chunk may be as large as zlib returns at once, or smaller."""
    image = made(number, pixels=1200)
    image.file_meta.TransferSyntaxUID = DEFLATED.uid  # type: ignore[assignment]
    file = encoded(image)
    instance = sent(file, tmp_path, None)
    assert instance.remarks == ()
    assert content_of(instance.dataset) == dataset_of(file)

"""Properties that a compressed frame states in its own header."""

import struct

import pytest

from fw_gear_dicom_send.dicom.transcode.coded_frames import (
    BitStream,
    read_jpeg,
    read_jpeg_2000,
)
from fw_gear_dicom_send.values import replace


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def frame_header(names: bytes = b"\1", sampling: bytes = b"\x11", marker: int = 0xC0) -> bytes:
    """Return the frame header of 8 bits, 3 rows and 5 columns (ISO 10918-1 B.2.2)."""
    components = b"".join(
        bytes((name, sampling[n % len(sampling)], 0)) for n, name in enumerate(names)
    )
    return segment(marker, struct.pack(">BHHB", 8, 3, 5, len(names)) + components)


SOI, SCAN = b"\xff\xd8", segment(0xDA, b"\1\1\0\1\0\0")
JFIF, ADOBE = segment(0xE0, b"JFIF\0\1"), segment(0xEE, b"Adobe" + bytes(6))
TABLES = segment(0xC4, b"table")


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xCF, 0xF7])
@pytest.mark.parametrize("before", [b"", TABLES, b"\xff", segment(0xFE, b"") + b"\xff\xff"])
def test_a_jpeg_frame_has_a_size(marker: int, before: bytes) -> None:
    """Any segments and fill bytes before the frame header are skipped."""
    stream = read_jpeg(SOI + before + frame_header(marker=marker) + SCAN)
    is_predicted = marker == 0xC3
    expected = BitStream(rows=3, columns=5, samples=1, bits=8, is_predicted=is_predicted)
    assert replace(stream, is_lossy=False) == expected


@pytest.mark.parametrize("marker", {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
def test_lossy_jpeg_processes(marker: int) -> None:
    """SOF3, SOF7, SOF11 and SOF15 are lossless, all others are not (ISO 10918-1 table B.1)."""
    is_lossless = marker in (0xC3, 0xC7, 0xCB, 0xCF)
    assert read_jpeg(SOI + frame_header(marker=marker) + SCAN).is_lossy is not is_lossless


@pytest.mark.parametrize("near", [0, 1, 255])
@pytest.mark.parametrize("names", [b"\1", b"\1\2\3"])
@pytest.mark.parametrize("between", [b"", segment(0xF8, b"\1" + bytes(10))])
def test_maximum_error_of_jpeg_ls(near: int, names: bytes, between: bytes) -> None:
    """NEAR follows the components in the header of the scan (ISO 14495-1 C.2.3)."""
    components = b"".join(bytes((name, 9)) for name in names)
    scan = segment(0xDA, bytes((len(names),)) + components + bytes((near, 7, 7)))
    stream = read_jpeg(SOI + frame_header(names, marker=0xF7) + between + scan)
    assert stream.is_lossy is (near > 0)


@pytest.mark.parametrize(
    "data",
    [
        SOI,
        SOI + SCAN + frame_header(),
        SOI + TABLES + b"\0" + frame_header(),
        SOI + segment(0xC0, b"\10"),
        SOI + frame_header(),
        SOI + frame_header(b"\1\2") + segment(0xDA, b"\2\1\0\1\0\1\0\0"),
        SOI + frame_header(marker=0xF7),
        SOI + frame_header(marker=0xF7) + segment(0xDA, b""),
        *(SOI + frame_header(marker=marker) + SCAN for marker in (0xC4, 0xC8, 0xCC, 0xD0, 0xB0)),
    ],
)
def test_a_jpeg_frame_without_a_header_is_damaged(data: bytes) -> None:
    """The header is missing, too late, or has another marker."""
    with pytest.raises((ValueError, IndexError, struct.error)):
        read_jpeg(data)


@pytest.mark.parametrize(
    ("before", "header", "color"),
    [
        (b"", frame_header(b"\1\2\3"), ""),
        (b"", frame_header(b"RGB"), "RGB"),
        (b"", frame_header(b"\1\2\3", b"\x21\x11\x11"), "YBR_FULL"),
        (JFIF, frame_header(b"RGB"), "YBR_FULL"),
        (ADOBE, frame_header(b"RGB"), "RGB"),
        (ADOBE, frame_header(b"\1\2\3"), ""),
        (segment(0xEE, b"Adobe" + bytes(7)), frame_header(b"\1\2\3", b"\x21\x11"), "RGB"),
        (segment(0xEE, b"Adobe" + bytes(6) + b"\1"), frame_header(b"RGB"), "YBR_FULL"),
        (segment(0xEE, b"Other" + bytes(6) + b"\1"), frame_header(b"\1\2\3"), ""),
        (segment(0xE0, b"JFXX\0\1"), frame_header(b"\1\2\3"), ""),
    ],
)
def test_the_colours_of_a_jpeg_frame(before: bytes, header: bytes, color: str) -> None:
    """A marker defines them, otherwise the names or the subsampling of the components."""
    assert read_jpeg(SOI + before + header + SCAN).color == color


def siz(*components: bytes, samples: int | None = None) -> bytes:
    """Return the SIZ segment of an image from (3, 2) to (8, 4) (ISO 15444-1 A.5.1)."""
    head = struct.pack(">HHIIII16s", 41, 0, 8, 4, 3, 2, bytes(16))
    count = len(components) if samples is None else samples
    return b"\xff\x4f\xff\x51" + head + struct.pack(">H", count) + b"".join(components)


@pytest.mark.parametrize("before", [b"", b"a JP2 header"])
@pytest.mark.parametrize(
    ("precision", "bits", "is_signed"),
    [(7, 8, False), (11, 12, False), (0x8F, 16, True), (127, 128, False)],
)
@pytest.mark.parametrize("samples", [1, 3])
def test_a_jpeg_2000_frame_has_a_size(
    before: bytes, precision: int, bits: int, is_signed: bool, samples: int
) -> None:
    """The size is the distance of the two corners; the header also has bit depth and sign."""
    stream = read_jpeg_2000(before + siz(*[bytes((precision, 1, 1))] * samples))
    assert stream == BitStream(2, 5, samples, bits, is_signed)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        siz(b"\7\1\1")[1:],
        siz(b"\7\1\1", b"\7\2\1"),
        siz(b"\7\1\1", b"\7\1\2"),
        siz(b"\7\1\1", b"\x0b\1\1"),
        siz(b"\7\1\1", samples=2),
        siz(),
        siz(b"\7\1\1")[:30],
    ],
)
def test_a_jpeg_2000_frame_that_cannot_be_read(data: bytes) -> None:
    """The segment is missing or truncated, or its components differ."""
    with pytest.raises((ValueError, IndexError, struct.error)):
        read_jpeg_2000(data)


def cod(transform: int) -> bytes:
    """Return a COD segment (ISO 15444-1 A.6.1)."""
    return b"\xff\x52" + struct.pack(">H", 12) + bytes((7, 7, 7, 7, 7, 7, 7, 7, 7, transform))


SOT, COMMENT = b"\xff\x90\0\x0a" + bytes(8), b"\xff\x64\0\x10" + cod(0)


@pytest.mark.parametrize(
    ("header", "is_lossy"),
    [
        (cod(0), True),
        (cod(1), False),
        (COMMENT + cod(0), True),
        (COMMENT + cod(1), False),
        (SOT + cod(0), False),
        (COMMENT + SOT + bytes(10), False),
        (b"", False),
        (cod(0)[:-1], False),
        (b"\xff\x64\0\0" * 100, False),
    ],
)
def test_transform_of_jpeg_2000(header: bytes, is_lossy: bool) -> None:
    """The main header names the transform; other segments and what follows do not."""
    assert read_jpeg_2000(siz(b"\7\1\1") + header).is_lossy is is_lossy

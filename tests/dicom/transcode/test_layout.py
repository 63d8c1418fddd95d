"""Values of the Image Pixel module that decoding requires (PS3.3 C.7.6.3)."""

from pathlib import Path
from struct import pack

import pytest
from pydicom.uid import JPEGBaseline8Bit, RLELossless

from fw_gear_dicom_send.dicom.transcode.layout import Layout
from fw_gear_dicom_send.dicom.transcode.recoding import UnconvertibleError
from tests.support import wording
from tests.support.transcoding import decode

SAMPLES, PHOTOMETRIC, FRAMES, ROWS, COLUMNS = (
    0x00280002,
    0x00280004,
    0x00280008,
    0x00280010,
    0x00280011,
)
ALLOCATED, STORED, HIGH_BIT, REPRESENTATION = 0x00280100, 0x00280101, 0x00280102, 0x00280103
GREY = {
    SAMPLES: pack("<H", 1),
    PHOTOMETRIC: b"MONOCHROME2 ",
    ROWS: pack("<H", 3),
    COLUMNS: pack("<H", 5),
    ALLOCATED: pack("<H", 16),
    STORED: pack("<H", 12),
    HIGH_BIT: pack("<H", 11),
    REPRESENTATION: pack("<H", 1),
}


def test_the_layout_has_the_values_of_the_elements() -> None:
    """Without Number of Frames there is one frame; a frame has rows times columns words."""
    layout = Layout.of(GREY)
    assert layout == Layout(3, 5, 1, 16, 12, 11, True, "MONOCHROME2", 1)
    assert (layout.frame_size, layout.size) == (30, 30)
    assert not Layout.of(GREY | {REPRESENTATION: pack("<H", 0)}).signed
    assert Layout.of(GREY | {FRAMES: b"7 "}).size == 210
    assert Layout.of(GREY | {FRAMES: b" \0"}).frames == 1


def test_the_length_of_all_frames_is_even() -> None:
    """An odd length is padded by one byte (PS3.5 8.1.1)."""
    bytes_only = GREY | {ALLOCATED: pack("<H", 8)}
    assert Layout.of(bytes_only).size == 16
    assert Layout.of(bytes_only | {FRAMES: b"2"}).size == 30


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        *[(tag, value) for tag in GREY for value in (None, b"\xff")],
        *[(tag, b"") for tag in GREY if tag != PHOTOMETRIC],
    ],
)
def test_missing_or_invalid_values_cannot_be_decoded(tag: int, value: bytes | None) -> None:
    """The reason says so and quotes no value."""
    description = {one: data for one, data in GREY.items() if one != tag}
    if value is not None:
        description[tag] = value
    with pytest.raises(UnconvertibleError, match=rf"^{wording.NO_PIXEL_DESCRIPTION}$"):
        Layout.of(description)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({FRAMES: b"many"}, wording.NO_PIXEL_DESCRIPTION),
        ({FRAMES: b"0"}, wording.OTHER_LAYOUT),
        ({FRAMES: b"-1"}, wording.OTHER_LAYOUT),
        ({ROWS: pack("<H", 0)}, wording.OTHER_LAYOUT),
        ({COLUMNS: pack("<H", 0)}, wording.OTHER_LAYOUT),
        ({ALLOCATED: pack("<H", 0)}, wording.OTHER_LAYOUT),
        ({ALLOCATED: pack("<H", 12)}, wording.OTHER_LAYOUT),
        ({SAMPLES: pack("<H", 2)}, wording.OTHER_COLOURS),
        ({SAMPLES: pack("<H", 4), PHOTOMETRIC: b"RGB"}, wording.OTHER_COLOURS),
        ({SAMPLES: pack("<H", 3)}, wording.OTHER_COLOURS),
        ({FRAMES: b"1000001"}, f"{wording.MORE_THAN} 1000000 frames"),
    ],
)
def test_an_image_that_cannot_be_decoded(changes: dict[int, bytes], reason: str) -> None:
    """Each cause has its own text."""
    with pytest.raises(UnconvertibleError, match=f"^{reason}$"):
        Layout.of(GREY | changes)


def test_pixels_of_maximum_length() -> None:
    """They fit into a length of 32 bits."""
    large = GREY | {ROWS: pack("<H", 3000), COLUMNS: pack("<H", 5000)}
    assert Layout.of(large | {FRAMES: b"143"}).size == 4_290_000_000
    with pytest.raises(UnconvertibleError, match=rf"^{wording.PIXELS_OVER_4_GIB}$"):
        Layout.of(large | {FRAMES: b"144"})


def test_the_maximum_number_of_frames() -> None:
    """A million frames are sufficient for a slide."""
    assert Layout.of(GREY | {FRAMES: b"1000000"}).frames == 1_000_000


@pytest.mark.parametrize(
    ("more", "reason"), [(0, wording.FRAME_DAMAGED), (1, "a frame is far larger than its pixels")]
)
def test_the_size_of_a_frame_is_bounded(more: int, reason: str, tmp_path: Path) -> None:
    """The limit is twice the native length plus 64 KiB, in any number of fragments."""
    layout = Layout.of(GREY)
    first = b"\xff\xd8" + b"x" * 1000
    fragments = [first, b"x" * (2 * 30 + 65536 - len(first)), b"x" * more]
    with pytest.raises(UnconvertibleError, match=reason):
        decode([fragments], JPEGBaseline8Bit, layout, tmp_path)


@pytest.mark.parametrize(
    "frame",
    [
        bytes(63),
        pack("<16I", 1, 64, *[0] * 14) + b"x" * 99,
        pack("<16I", 2, 63, 70, *[0] * 13) + b"x" * 99,
        pack("<16I", 2, 80, 70, *[0] * 13) + b"x" * 99,
        pack("<16I", 2, 64, 999, *[0] * 13) + b"x" * 99,
    ],
)
def test_an_rle_header_must_be_consistent(frame: bytes, tmp_path: Path) -> None:
    """It has a segment for each byte of a word, in order, after the header and within the frame."""
    with pytest.raises(UnconvertibleError, match=wording.FRAME_DAMAGED):
        decode([[frame]], RLELossless, Layout.of(GREY), tmp_path)

"""RLE and deflated frames, whose bytes do not contain their shape."""

import zlib
from pathlib import Path
from struct import pack

import pytest
from pydicom.uid import RLELossless

from fw_gear_dicom_send.dicom.transcode.layout import Layout
from fw_gear_dicom_send.dicom.transcode.recoding import UnconvertibleError
from tests.support import wording
from tests.support.transcoding import decode

DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
WORDS = Layout(8, 8, 1, 16, 16, 15, False, "MONOCHROME2", 2)
PLANE = bytes(range(64))


def rle(first: bytes, *, gap: int = 0) -> bytes:
    """Return a frame with two planes of literals, starting with the given one."""
    offsets = 64 + gap, 64 + gap + 1 + len(first)
    header = pack("<16I", 2, *offsets, *[0] * 13)
    return header + bytes(gap) + b"\x3f" + first + b"\x3f" + PLANE


def pixels(first: bytes) -> bytes:
    return b"".join(pack("BB", low, high) for high, low in zip(first, PLANE, strict=True))


@pytest.mark.parametrize("start", [pack("<II", 2, 16), pack("<II", 7, 80), pack("<II", 2, 1 << 30)])
def test_a_fragment_that_resembles_a_header(start: bytes, tmp_path: Path) -> None:
    """Its number of segments or its first offset shows that it continues a frame."""
    first = bytes(10) + start * 6 + bytes(6)
    frame = rle(first)
    split = 64 + 1 + 10
    fragments = [frame[:split], frame[split:]]
    assert decode([fragments, fragments], RLELossless, WORDS, tmp_path) == pixels(first) * 2


def test_a_gap_after_the_header(tmp_path: Path) -> None:
    """The first segment may begin after byte 64."""
    frame = rle(PLANE, gap=10)
    assert decode([[frame], [frame]], RLELossless, WORDS, tmp_path) == pixels(PLANE) * 2


def deflated(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (deflated(bytes(126)), wording.OTHER_FRAME_SIZE),
        (deflated(bytes(130)), wording.FRAME_DAMAGED),
        (deflated(PLANE * 2)[:-4], wording.FRAME_DAMAGED),
        (b"\xff" + deflated(PLANE * 2), wording.FRAME_DAMAGED),
    ],
    ids=["short", "long", "cut", "damaged"],
)
def test_deflated_frames_of_another_length(frame: bytes, reason: str, tmp_path: Path) -> None:
    """They are neither padded nor cut."""
    with pytest.raises(UnconvertibleError, match=f"^{reason}$"):
        decode([[frame], [frame]], DEFLATED_FRAMES, WORDS, tmp_path)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_bits_after_a_frame(frames: int, tmp_path: Path) -> None:
    """Four pixels end within a byte, whose other bits are unused."""
    layout = Layout(2, 2, 1, 1, 1, 0, False, "MONOCHROME2", frames)
    found = decode([[deflated(b"\xf5")]] * frames, DEFLATED_FRAMES, layout, tmp_path)
    assert found == [b"\x05", b"\x55", b"\x55\x05"][frames - 1]

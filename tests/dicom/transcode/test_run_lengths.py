"""Run-length encoding (PS3.5 annex G)."""

import pytest

from fw_gear_dicom_send.dicom.transcode.frame_decoder import FrameError, unpack_bits


def unpacked(data: bytes, size: int) -> bytes:
    return b"".join(unpack_bits(data, size))


PACKED = bytes.fromhex("fe aa 02 80 00 2a fd aa 03 80 00 2a 22 f7 aa")
UNPACKED = bytes.fromhex("aa aa aa 80 00 2a aa aa aa aa 80 00 2a 22" + "aa" * 10)


@pytest.mark.parametrize("behind", [b"", b"\0", b"\x80", b"\0\0\x80"])
def test_runs_and_literals_are_unpacked(behind: bytes) -> None:
    """The example is from Apple's note on PackBits, the basis of PS3.5 G.3; padding may follow."""
    assert unpacked(PACKED + behind, len(UNPACKED)) == UNPACKED


def test_runs_and_literals_of_maximum_length() -> None:
    """Each has 128 bytes; the code between them means nothing."""
    data = bytes(range(128))
    packed = b"\x80\x81x\x80\x7f" + data
    assert unpacked(packed, 256) == b"x" * 128 + data
    assert unpacked(b"\xffx", 2) == b"xx"
    assert unpacked(b"\0x", 1) == b"x"


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (PACKED, len(UNPACKED) - 1),
        (PACKED, len(UNPACKED) + 1),
        (PACKED[:-1], len(UNPACKED)),
        (PACKED + b"\1", len(UNPACKED)),
        (b"", 1),
        (b"\x80" * 9, 1),
    ],
)
def test_a_segment_of_another_length_is_damaged(data: bytes, size: int) -> None:
    """It has too few bytes, or more extra bytes than padding."""
    with pytest.raises(FrameError):
        unpacked(data, size)

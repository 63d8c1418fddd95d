"""Headers of compressed frames."""

import struct
from dataclasses import dataclass

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
SIZ, JP2 = b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  "
SOF_LOSSLESS, SOF_JPEG_LS = 0xC3, 0xF7
NO_SOF = (0xC4, 0xC8, 0xCC)
APP0, APP14, SOS, FILL = 0xE0, 0xEE, 0xDA, 0xFF


@dataclass(frozen=True)
class BitStream:
    """Properties that a JPEG or JPEG 2000 frame declares; `color` is empty if not declared.

    `is_predicted` means lossless JPEG (ISO 10918-1 annex H), in contrast to JPEG-LS.
    """

    rows: int
    columns: int
    samples: int
    bits: int
    signed: bool = False
    color: str = ""
    is_predicted: bool = False


def read_jpeg(data: bytes) -> BitStream:
    """Read the headers of a JPEG or JPEG-LS bit stream up to its scan (ISO 10918-1 B.2.2, B.2.3).

    A JFIF or Adobe marker declares the colour space. Otherwise components named R, G and B mean
    RGB, and unevenly sampled ones mean YBR. Raises ValueError, IndexError or struct.error if a
    header is damaged. One example is a scan that has a component twice: GDCM would leave another
    one undefined.
    """
    color, position = "", len(SOI)
    stream: BitStream | None = None
    while data[position] == FILL:
        marker = data[position + 1]
        if marker == FILL:
            position += 1
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        segment = data[position + 4 : position + 2 + length]
        if marker == SOS:
            components = segment[1 : 1 + 2 * segment[0] : 2]
            if stream and len(set(components)) == segment[0]:
                return stream
            break
        if marker == APP0 and segment.startswith(b"JFIF\0"):
            color = "YBR_FULL"
        elif marker == APP14 and segment.startswith(b"Adobe") and len(segment) >= 12:
            color = "YBR_FULL" if segment[11] else "RGB"
        elif marker == SOF_JPEG_LS or (marker & 0xF0 == 0xC0 and marker not in NO_SOF):
            bits, rows, columns, samples = struct.unpack_from(">BHHB", segment)
            end = 6 + 3 * samples
            if not color and segment[6:end:3] == b"RGB":
                color = "RGB"
            elif not color and len(set(segment[7:end:3])) > 1:
                color = "YBR_FULL"
            is_predicted = marker == SOF_LOSSLESS
            stream = BitStream(rows, columns, samples, bits, False, color, is_predicted)
        position += 2 + length
    raise ValueError("a frame is damaged")


def read_jpeg_2000(data: bytes) -> BitStream:
    """Read the SIZ segment of a JPEG 2000 bit stream (ISO 15444-1 A.5.1).

    Raises ValueError, IndexError or struct.error if it is damaged, or if its components differ in
    precision or size.
    """
    start = data.find(SIZ)
    if start < 0:
        raise ValueError("a frame is damaged")
    right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
    (samples,) = struct.unpack_from(">H", data, start + 40)
    components = data[start + 42 : start + 42 + 3 * samples]
    if components != bytes((components[0], 1, 1)) * samples:
        raise ValueError("its colours cannot be decoded")
    return BitStream(
        rows=bottom - top,
        columns=right - left,
        samples=samples,
        bits=(components[0] & 0x7F) + 1,
        signed=components[0] > 0x7F,
    )

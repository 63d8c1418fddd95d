"""Headers of compressed frames."""

import struct
from dataclasses import dataclass, replace

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
SIZ, JP2 = b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  "
SOF_LOSSLESS, SOF_JPEG_LS = 0xC3, 0xF7
LOSSLESS = 3  # the lower bits of SOF3, SOF7, SOF11, SOF15 and of JPEG-LS
NO_SOF = (0xC4, 0xC8, 0xCC)
APP0, APP14, SOS, FILL = 0xE0, 0xEE, 0xDA, 0xFF
COD, SOT = b"\xff\x52", b"\xff\x90"
TRANSFORM = 13
IRREVERSIBLE = 0


@dataclass(frozen=True)
class BitStream:
    """Properties that a JPEG or JPEG 2000 frame declares; `color` is empty if not declared.

    `is_predicted` means lossless JPEG (ISO 10918-1 annex H), in contrast to JPEG-LS. `is_lossy`
    means that the pixels certainly lost precision when they were compressed.
    """

    rows: int
    columns: int
    samples: int
    bits: int
    signed: bool = False
    color: str = ""
    is_predicted: bool = False
    is_lossy: bool = False


def read_jpeg(data: bytes) -> BitStream:
    """Read the headers of a JPEG or JPEG-LS bit stream up to its scan (ISO 10918-1 B.2.2, B.2.3).

    A JFIF or Adobe marker declares the colour space. Otherwise components named R, G and B mean
    RGB, and unevenly sampled ones mean YBR. JPEG-LS declares its maximum error in the header of a
    scan (ISO 14495-1 C.2.3). Raises ValueError, IndexError or struct.error if a header is damaged.
    One example is a scan that has a component twice: GDCM would leave another one undefined.
    """
    color, position = "", len(SOI)
    stream: BitStream | None = None
    has_error = False
    while data[position] == FILL:
        marker = data[position + 1]
        if marker == FILL:
            position += 1
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        segment = data[position + 4 : position + 2 + length]
        if marker == SOS:
            end = 1 + 2 * segment[0]
            if stream and len(set(segment[1:end:2])) == segment[0]:
                return replace(stream, is_lossy=segment[end] > 0) if has_error else stream
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
            has_error = marker == SOF_JPEG_LS
            stream = BitStream(
                rows,
                columns,
                samples,
                bits,
                color=color,
                is_predicted=marker == SOF_LOSSLESS,
                is_lossy=marker & LOSSLESS != LOSSLESS,
            )
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
        is_lossy=_is_irreversible(data, start + len(SIZ) - len(COD)),
    )


def _is_irreversible(data: bytes, position: int) -> bool:
    """Return whether the main header names the irreversible wavelet (ISO 15444-1 A.6.1).

    Reversible streams may also have lost precision, by truncation, which no header shows.
    """
    while position + TRANSFORM < len(data):
        marker = data[position : position + len(COD)]
        if marker in (COD, SOT):
            return marker == COD and data[position + TRANSFORM] == IRREVERSIBLE
        position += len(COD) + int.from_bytes(data[position + 2 : position + 4], "big")
    return False

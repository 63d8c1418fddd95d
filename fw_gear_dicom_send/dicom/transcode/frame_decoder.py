"""Decodes JPEG, JPEG-LS and JPEG 2000 frames with GDCM, as a program of its own.

GDCM ends its whole process on some damaged frames, and only its standard error
says of others that they are: `pixels` runs this file apart from the gear for both.
"""

import struct
import sys
from importlib import import_module
from typing import Any

LENGTH = struct.Struct("<Q")


def decode(
    frame: bytes, transfer_syntax_uid: str, *, rows: int, columns: int, samples: int, bits: int
) -> bytes:
    """Decode a frame to pixels, colour by pixel, as its components are coded.

    Args:
        frame: The bit stream of one frame.
        transfer_syntax_uid: How it is compressed.
        rows: Its height, in pixels.
        columns: Its width, in pixels.
        samples: Its components, 1 or 3.
        bits: The precision of a sample, 2 to 16 bits.

    Returns:
        The little-endian pixels, or nothing where GDCM cannot decode them.
    """
    gdcm: Any = import_module("gdcm")
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    color = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2" if samples == 1 else "RGB")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(color))
    syntax = gdcm.TransferSyntax.GetTSType(transfer_syntax_uid)
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    allocated = 8 if bits <= 8 else 16
    image.SetPixelFormat(gdcm.PixelFormat(samples, allocated, bits, bits - 1, 0))
    pixels = image.GetBuffer()
    # GDCM's Python layer hands out bytes as text, made in this way.
    return pixels.encode("utf-8", "surrogateescape") if pixels else b""


def main(argv: list[str]) -> None:
    """Decode the frames on standard input to standard output, each after its length.

    Args:
        argv: Transfer syntax, rows, columns, samples and bits, as `decode` takes them.
    """
    trace: Any = import_module("gdcm").Trace
    trace.WarningOff()
    trace.ErrorOff()
    rows, columns, samples, bits = map(int, argv[1:])
    while length := sys.stdin.buffer.read(LENGTH.size):
        frame = sys.stdin.buffer.read(*LENGTH.unpack(length))
        pixels = decode(frame, argv[0], rows=rows, columns=columns, samples=samples, bits=bits)
        sys.stdout.buffer.write(LENGTH.pack(len(pixels)))
        sys.stdout.buffer.write(pixels)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])

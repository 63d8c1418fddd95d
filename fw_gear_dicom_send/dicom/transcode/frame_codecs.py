"""Pools of the programs that decode and encode frames."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from . import frame_decoder
from .frame_decoder import CHUNK, Frame
from .frame_encoder import LENGTH, RawFrame
from .frame_processes import (
    DEFAULT_TIMEOUTS,
    OTHER_SIZE,
    FrameProcesses,
    FrameProgram,
    FrameTimeouts,
)
from .recoding import UnconvertibleError

_PACKAGE = str(__package__)
_ROOT = Path(__file__).parents[_PACKAGE.count(".") + 1]
_DECODER = FrameProgram(
    "decoder",
    (str(frame_decoder.__file__),),
    "decoded",
    "a frame is damaged",
    "decoding a frame takes too much memory",
)
_ENCODER = FrameProgram(
    "encoder",
    (
        "-c",
        f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from {_PACKAGE} import frame_encoder; "
        "frame_encoder.main(sys.argv[1:])",
    ),
    "encoded",
    "a frame cannot be encoded",
    "encoding a frame takes too much memory",
)
_OVERHEAD = 65536


class FrameDecoders(FrameProcesses):
    """Pool of decoders.

    Each takes 30 MB of memory, and 14 bytes for each sample of the frame that it decodes.
    """

    def __init__(self, work: Path, timeouts: FrameTimeouts = DEFAULT_TIMEOUTS) -> None:
        """Start no decoder yet; `work` is the folder for small temporary files."""
        super().__init__(_DECODER, work, timeouts)

    @contextmanager
    def decoded(self, frame: Frame, coded: BinaryIO, size: int) -> Iterator[Iterator[bytes]]:
        """Yield the pixels of a frame, whose bit stream of `size` bytes is in the file `coded`.

        Ends and raises like `answer`.
        """
        coded.seek(0)
        data = iter(partial(coded.read, CHUNK), b"")
        with self.answer(frame.request(size), data, frame.size, frame.size) as pixels:
            yield _whole(pixels, frame.size)


def _whole(pixels: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Yield the pixels of a frame; raises UnconvertibleError if some are missing."""
    for chunk in pixels:
        size -= len(chunk)
        yield chunk
    if size:
        raise UnconvertibleError(OTHER_SIZE)


class EncodedFrame(NamedTuple):
    """The bit stream of a frame: its length in bytes, and its chunks."""

    size: int
    chunks: Iterator[bytes]


class FrameEncoders(FrameProcesses):
    """Pool of encoders, which check that each frame decodes to the same pixels.

    Each takes 60 MB of memory, and 18 bytes for each sample of the frame that it encodes.
    """

    def __init__(self, work: Path, timeouts: FrameTimeouts = DEFAULT_TIMEOUTS) -> None:
        """Start no encoder yet; `work` is the folder for small temporary files."""
        super().__init__(_ENCODER, work, timeouts)

    @contextmanager
    def encoded(self, frame: RawFrame, native: Iterable[bytes]) -> Iterator[EncodedFrame]:
        """Yield the bit stream of a frame, whose pixels are `native`.

        Ends and raises like `answer`.
        """
        bound = 2 * frame.size + _OVERHEAD
        with self.answer(frame.request(frame.size), native, frame.size, bound) as chunks:
            (size,) = LENGTH.unpack(next(chunks))
            yield EncodedFrame(size, chunks)

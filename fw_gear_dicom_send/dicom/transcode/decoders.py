"""The processes that decode frames, kept for a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from . import frame_decoder
from .frame_decoder import CHUNK, Frame
from .frame_processes import (
    DEFAULT_TIMEOUTS,
    OTHER_SIZE,
    FrameProcesses,
    FrameTimeouts,
    Program,
)
from .recoding import UnconvertibleError

_DECODER = Program(
    "decoder",
    (str(frame_decoder.__file__),),
    "decoded",
    "a frame is damaged",
    "decoding a frame takes too much memory",
)


class FrameDecoders(FrameProcesses):
    """Lends decoders to threads.

    Each takes 30 MB, and 14 bytes for each sample of a frame while it decodes it.
    """

    def __init__(self, work: Path, timeouts: FrameTimeouts = DEFAULT_TIMEOUTS) -> None:
        """Start none yet; `work` is the folder for small temporary files."""
        super().__init__(_DECODER, work, timeouts)

    @contextmanager
    def decoded(self, frame: Frame, coded: BinaryIO, size: int) -> Iterator[Iterator[bytes]]:
        """Decode a frame.

        Args:
            frame: What it is.
            coded: A file with its bit stream, read from its start.
            size: Length of the bit stream, in bytes.

        Yields:
            Its pixels, in chunks; one who leaves before their end, ends the decoder.

        Raises:
            UnconvertibleError: It cannot be decoded; raised by the chunks as well.
        """
        coded.seek(0)
        data = iter(partial(coded.read, CHUNK), b"")
        with self.answer(frame.request(size), data, frame.size, frame.size) as pixels:
            yield _whole(pixels, frame.size)


def _whole(pixels: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Yield the pixels of a frame; raises UnconvertibleError where some lack."""
    for chunk in pixels:
        size -= len(chunk)
        yield chunk
    if size:
        raise UnconvertibleError(OTHER_SIZE)

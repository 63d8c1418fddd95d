"""Pool of the processes that decode frames."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from . import frame_decoder
from .frame_decoder import CHUNK, Frame
from .frame_processes import OTHER_SIZE, FrameProcesses, Program
from .frame_timeouts import DEFAULT_TIMEOUTS, FrameTimeouts
from .recoding import UnconvertibleError

_DECODER = Program(
    "decoder",
    (str(frame_decoder.__file__),),
    "decoded",
    "a frame is damaged",
    "decoding a frame takes too much memory",
)


class FrameDecoders(FrameProcesses):
    """Pool of decoders.

    Each takes 30 MB of memory, and 14 bytes for each sample of the frame that it decodes.
    """

    def __init__(self, work: Path, timeouts: FrameTimeouts = DEFAULT_TIMEOUTS) -> None:
        """Start no decoder yet; `work` is the folder for small temporary files."""
        super().__init__(_DECODER, work, timeouts)

    @contextmanager
    def decoded(self, frame: Frame, coded: BinaryIO, size: int) -> Iterator[Iterator[bytes]]:
        """Decode a frame.

        Args:
            frame: Description of the frame.
            coded: A file with the bit stream, which is read from the start.
            size: Length of the bit stream, in bytes.

        Yields:
            The pixels, in chunks. If the caller leaves early, the decoder process is ended.

        Raises:
            UnconvertibleError: The frame cannot be decoded. Reading the chunks may raise it, too.
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

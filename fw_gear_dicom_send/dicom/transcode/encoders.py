"""The processes that encode frames, kept for a run."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from .frame_encoder import LENGTH, RawFrame
from .frame_processes import DEFAULT_TIMEOUTS, FrameProcesses, FrameTimeouts, Program

_PACKAGE = str(__package__)
_ROOT = Path(__file__).parents[_PACKAGE.count(".") + 1]
_ENCODER = Program(
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
OVERHEAD = 65536


class EncodedFrame(NamedTuple):
    """The bit stream of a frame: its length, and what it consists of."""

    size: int
    chunks: Iterator[bytes]


class FrameEncoders(FrameProcesses):
    """Lends encoders to threads.

    Each takes 60 MB, and 18 bytes for each sample of a frame while it encodes it.
    """

    def __init__(self, work: Path, timeouts: FrameTimeouts = DEFAULT_TIMEOUTS) -> None:
        """Start none yet; `work` is the folder for small temporary files."""
        super().__init__(_ENCODER, work, timeouts)

    @contextmanager
    def encoded(self, frame: RawFrame, native: Iterable[bytes]) -> Iterator[EncodedFrame]:
        """Encode a frame, and compare it with what it is decoded to.

        Args:
            frame: What it is, and what to encode it to.
            native: Its pixels, in chunks.

        Yields:
            Its bit stream; one who leaves before the end of that, ends the encoder.

        Raises:
            UnconvertibleError: It cannot be encoded; raised by the chunks as well.
        """
        bound = 2 * frame.size + OVERHEAD
        with self.answer(frame.request, native, frame.size, bound) as chunks:
            (size,) = LENGTH.unpack(next(chunks))
            yield EncodedFrame(size, chunks)

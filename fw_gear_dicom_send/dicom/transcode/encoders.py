"""Pool of the processes that encode frames."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from .frame_encoder import LENGTH, RawFrame
from .frame_processes import FrameProcesses, Program
from .frame_timeouts import DEFAULT_TIMEOUTS, FrameTimeouts

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
    """The bit stream of a frame: its length in bytes, and its chunks."""

    size: int
    chunks: Iterator[bytes]


class FrameEncoders(FrameProcesses):
    """Pool of encoders.

    Each takes 60 MB of memory, and 18 bytes for each sample of the frame that it encodes.
    """

    def __init__(self, work: Path, timeouts: FrameTimeouts = DEFAULT_TIMEOUTS) -> None:
        """Start no encoder yet; `work` is the folder for small temporary files."""
        super().__init__(_ENCODER, work, timeouts)

    @contextmanager
    def encoded(self, frame: RawFrame, native: Iterable[bytes]) -> Iterator[EncodedFrame]:
        """Encode a frame, and check that it decodes to the same pixels.

        Args:
            frame: Description of the frame and of its encoding.
            native: The pixels, in chunks.

        Yields:
            The bit stream. If the caller leaves early, the encoder process is ended.

        Raises:
            UnconvertibleError: The frame cannot be encoded. Reading the chunks may raise it, too.
        """
        bound = 2 * frame.size + OVERHEAD
        with self.answer(frame.request, native, frame.size, bound) as chunks:
            (size,) = LENGTH.unpack(next(chunks))
            yield EncodedFrame(size, chunks)

"""Conversion of images to accepted or smaller transfer syntaxes."""

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Self

from ..reasons import Kind, Reason
from .temporary_files import is_full
from .types import SOPInstance, Unreadable
from .uids import COMPRESSIONS

if TYPE_CHECKING:
    from .transcode import FrameDecoders, FrameEncoders


class Conversion:
    """Converter of images, which it stores in nameless files.

    Few runs convert images, so the transcoder is imported for the first image that needs it.

    The mutable state is the decoders and the encoders. The first image that needs them creates
    them, under the lock.
    """

    def __init__(self, work: Path) -> None:
        """Convert in the folder `work`."""
        self._work = work
        self._decoders: FrameDecoders | None = None
        self._encoders: FrameEncoders | None = None
        self._lock = Lock()

    def __enter__(self) -> Self:
        """Return the converter itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the decoders and encoders; running conversions fail."""
        with self._lock:
            for processes in (self._decoders, self._encoders):
                if processes:
                    processes.close()

    def __call__(
        self, instance: SOPInstance, transfer_syntax_uid: str
    ) -> SOPInstance | Unreadable | None:
        """Return the image in another transfer syntax, or the reason why that is impossible.

        None means that the image cannot be compressed, which is not a failure. Raises OSError if
        the disk fails.
        """
        from .transcode import FrameDecoders, FrameEncoders, compress, convert

        is_compression = transfer_syntax_uid in COMPRESSIONS
        with self._lock:
            if is_compression:
                encoders = self._encoders = self._encoders or FrameEncoders(self._work)
            else:
                decoders = self._decoders = self._decoders or FrameDecoders(self._work)
        try:
            if is_compression:
                return compress(instance, transfer_syntax_uid, encoders, self._work)
            return convert(instance, transfer_syntax_uid, decoders, self._work)
        except OSError as error:
            if is_full(error):
                return Unreadable(Reason(Kind.NO_SPACE))
            if is_compression:
                return Unreadable(Reason(Kind.NOT_COMPRESSED, error.strerror or str(error)))
            raise

"""Conversion of images to accepted or smaller transfer syntaxes."""

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Self

from ..dicom.temporary_files import Room, retry_when_full
from ..dicom.types import SOPInstance, Unreadable
from ..network.contexts import COMPRESSIONS
from ..reasons import Kind, Reason

if TYPE_CHECKING:
    from ..dicom.transcode import FrameDecoders, FrameEncoders


class Conversion:
    """Converter that waits for disk space.

    Few runs convert images, so the transcoder is imported for the first image that needs it.

    The mutable state is the decoders and encoders. The first image that needs them creates them,
    under the lock.
    """

    def __init__(self, room: Room, folder: Path) -> None:
        """Convert in `folder`; wait for space with `room`."""
        self._room = room
        self._folder = folder
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

        None means that the image cannot be compressed, which is not a failure.
        """
        if transfer_syntax_uid in COMPRESSIONS:
            return self._compress(instance, transfer_syntax_uid)
        from ..dicom.transcode import FrameDecoders, convert

        with self._lock:
            decoders = self._decoders = self._decoders or FrameDecoders(self._folder)
        return retry_when_full(
            self._room, lambda: convert(instance, transfer_syntax_uid, decoders, self._folder)
        )

    def _compress(
        self, instance: SOPInstance, transfer_syntax_uid: str
    ) -> SOPInstance | Unreadable | None:
        from ..dicom.transcode import FrameEncoders, compress

        with self._lock:
            encoders = self._encoders = self._encoders or FrameEncoders(self._folder)
        try:
            return retry_when_full(
                self._room, lambda: compress(instance, transfer_syntax_uid, encoders, self._folder)
            )
        except OSError as error:
            return Unreadable(Reason(Kind.NOT_COMPRESSED, error.strerror or str(error)))

"""Converts images that the server accepts only in another transfer syntax."""

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Self

from ..dicom.spool import Room, with_room
from ..dicom.types import SOPInstance, Unreadable

if TYPE_CHECKING:
    from ..dicom.transcode import FrameDecoders


class Conversion:
    """Converts as soon as there is room; few runs need it, so that it is imported by the first.

    The mutable state is the decoders, which come with the first image, with the lock.
    """

    def __init__(self, room: Room, folder: Path) -> None:
        """Convert in `folder`, for which `room` is asked."""
        self._room = room
        self._folder = folder
        self._decoders: FrameDecoders | None = None
        self._lock = Lock()

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the decoders; what one of them is decoding fails."""
        with self._lock:
            if self._decoders:
                self._decoders.close()

    def __call__(self, instance: SOPInstance, transfer_syntax_uid: str) -> SOPInstance | Unreadable:
        """Return the image in another transfer syntax, or why it cannot be converted."""
        from ..dicom.transcode import FrameDecoders, convert

        with self._lock:
            decoders = self._decoders = self._decoders or FrameDecoders(self._folder)
        return with_room(
            self._room, lambda: convert(instance, transfer_syntax_uid, decoders, self._folder)
        )

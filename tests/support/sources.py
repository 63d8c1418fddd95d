"""Sources of datasets that have no end."""

import io


class CountedSource(io.RawIOBase):
    """Endless zeros, which counts how many of them were read."""

    taken = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be sought."""
        return True

    def seek(self, offset: int, _whence: int = 0) -> int:
        """Take any position."""
        return offset

    def read(self, size: int = -1) -> bytes:
        """Return zeros."""
        self.taken += size
        return bytes(size)

"""Sources of endless datasets."""

import io


class CountedSource(io.RawIOBase):
    """Endless zeros, with a count of the bytes read."""

    taken = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, _whence: int = 0) -> int:
        """Accept any position."""
        return offset

    def read(self, size: int = -1) -> bytes:
        """Return zeros."""
        self.taken += size
        return bytes(size)

"""Compact hash table from UIDs to 64-bit numbers."""

from array import array

_MIN_SLOTS = 1 << 10
_WORD = (1 << 64) - 1


class UIDTable:
    """Hash table with 16 bytes per slot, at most half full.

    A UID is identified by its 64-bit hash, which has a different key in each process.
    """

    def __init__(self) -> None:
        """Create an empty table."""
        self._keys = array("Q", bytes(8 * _MIN_SLOTS))
        self._values = array("Q", bytes(8 * _MIN_SLOTS))
        self._used = 0

    def __len__(self) -> int:
        """Return the number of UIDs."""
        return self._used

    def get(self, uid: str) -> int | None:
        """Return the value of a UID, None if it is not in the table."""
        slot = self._slot(_key(uid))
        return self._values[slot] if self._keys[slot] else None

    def put(self, uid: str, value: int) -> None:
        """Set the value of a UID, a 64-bit number."""
        if 2 * self._used >= len(self._keys):
            self._grow()
        key = _key(uid)
        slot = self._slot(key)
        self._used += not self._keys[slot]
        self._keys[slot], self._values[slot] = key, value

    def _slot(self, key: int) -> int:
        """Return the slot of a key, or the free slot for it."""
        mask = len(self._keys) - 1
        slot = key & mask
        while self._keys[slot] not in (0, key):
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        keys, values = self._keys, self._values
        self._keys = array("Q", bytes(16 * len(keys)))
        self._values = array("Q", bytes(16 * len(values)))
        for key, value in zip(keys, values, strict=True):
            if key:
                slot = self._slot(key)
                self._keys[slot], self._values[slot] = key, value


def _key(uid: str) -> int:
    """Return the hash of a UID, never 0."""
    return hash(uid) & _WORD or 1

"""A hash table that keeps a number of 64 bits for each of many UIDs, in little memory."""

from array import array

_MIN_SLOTS = 1 << 10
_WORD = (1 << 64) - 1


class UIDTable:
    """Has 16 bytes for each slot, of which half are in use at most.

    A UID is known by its hash, which has 64 bits and a key of its own in each process.
    """

    def __init__(self) -> None:
        """Begin with no UID."""
        self._keys = array("Q", bytes(8 * _MIN_SLOTS))
        self._values = array("Q", bytes(8 * _MIN_SLOTS))
        self._used = 0

    def __len__(self) -> int:
        """Return how many UIDs there are."""
        return self._used

    def get(self, uid: str) -> int | None:
        """Return the value of a UID, None where it is not there."""
        slot = self._slot(_key(uid))
        return self._values[slot] if self._keys[slot] else None

    def put(self, uid: str, value: int) -> None:
        """Set the value of a UID, a number of 64 bits."""
        if 2 * self._used >= len(self._keys):
            self._grow()
        key = _key(uid)
        slot = self._slot(key)
        self._used += not self._keys[slot]
        self._keys[slot], self._values[slot] = key, value

    def _slot(self, key: int) -> int:
        """Return where a key is, or would be."""
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
    """Return a number for a UID, never 0."""
    return hash(uid) & _WORD or 1

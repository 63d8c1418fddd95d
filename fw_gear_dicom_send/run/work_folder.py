"""Files and images in the work folder, and waits for disk space."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from threading import Condition, Lock

from ..dicom.temporary_files import Mark

_PAUSE = 1.0
"""Seconds between two checks of a waiting thread whether any item can still leave."""


class InFlight:
    """Counter of items in the work folder; a `Room` for data that is not in it yet.

    The mutable state is the number of items, the number that left, the number of items that wait
    for another one to leave, the number of these that own an association, and whether waiting has
    ended.
    """

    def __init__(self) -> None:
        """Start with no item."""
        self._changed = Condition()
        self._turn = Lock()
        self._count = 0
        self._left = 0
        self._waiting = 0
        self._on_their_way = 0
        self._is_closed = False

    def enter(self) -> None:
        """Count an item that enters the work folder."""
        with self._changed:
            self._count += 1

    def leave(self) -> None:
        """Count an item that leaves the work folder, and wake all waiting threads."""
        with self._changed:
            self._count -= 1
            self._left += 1
            self._changed.notify_all()

    def close(self) -> None:
        """End all waits, now and later."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def mark(self) -> Mark:
        """Return a mark for a later call of `wait`."""
        with self._changed:
            return Mark(self._left, self._waiting)

    def turn(self, _: bool) -> AbstractContextManager[object]:
        """Return a lock for outside data and for retries; only one thread can own it."""
        return self._turn

    def wait(self, mark: Mark) -> bool:
        """Wait until an item has left since `mark`; return False if no item can leave."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over(mark) or self._count == 0)
            return self._left != mark.left and not self._is_closed

    def wait_inside(self, mark: Mark, leaving: Callable[[], int] | None = None) -> bool:
        """Wait as an item that is in the work folder itself; stop if all other items wait, too.

        `leaving` is for items that own an association. It returns the number of associations. If
        that many items wait, no other item can leave before them. Items that stopped waiting have
        deleted their incomplete data, so one of them retries while the others wait.
        """
        with self._changed:
            self._waiting += 1
            self._on_their_way += leaving is not None
            self._changed.notify_all()
            while not self._changed.wait_for(lambda: self._is_done(mark), _PAUSE):
                if leaving and self._on_their_way >= leaving():
                    break
            self._waiting -= 1
            self._on_their_way -= leaving is not None
            others_have_stopped = self._waiting != mark.waiting
            return (self._left != mark.left or others_have_stopped) and not self._is_closed

    def _is_done(self, mark: Mark) -> bool:
        return self._is_over(mark) or self._count <= self._waiting

    def _is_over(self, mark: Mark) -> bool:
        return self._left != mark.left or self._is_closed


@dataclass(frozen=True)
class InnerRoom:
    """A `Room` for items that are in the work folder and need more space.

    `leaving` is for items that own an association; it returns the number of associations.
    """

    images: InFlight
    leaving: Callable[[], int] | None = None

    def mark(self) -> Mark:
        """Return a mark for a later call of `wait`."""
        return self.images.mark()

    def turn(self, is_retry: bool) -> AbstractContextManager[object]:
        """Return a lock for retries; first attempts need none and run in parallel."""
        return self.images.turn(True) if is_retry else nullcontext()

    def wait(self, mark: Mark) -> bool:
        """Wait until another image has left since `mark`."""
        return self.images.wait_inside(mark, self.leaving)


@dataclass(frozen=True)
class WorkFolder:
    """Files and images of a run in its work folder."""

    files: InFlight = field(default_factory=InFlight)
    images: InFlight = field(default_factory=InFlight)

    def close(self) -> None:
        """End all waits, now and later."""
        self.files.close()
        self.images.close()

"""What lies in the work folder, and when something leaves it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from threading import Condition, Lock

from ..dicom.temporary_files import Mark

_PAUSE = 1.0
"""Seconds after which what waits looks whether any image can still leave."""


class InFlight:
    """Counts things that lie in the work folder; is a Room for what lies outside.

    The mutable state is how many there are, how many have left, how many of those that there
    are wait for another one to leave, how many of these are on their way to the server, and
    whether nobody is to wait any more.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._changed = Condition()
        self._turn = Lock()
        self._count = 0
        self._left = 0
        self._waiting = 0
        self._on_their_way = 0
        self._is_closed = False

    def enter(self) -> None:
        """Count one more."""
        with self._changed:
            self._count += 1

    def leave(self) -> None:
        """Count one less, and let all try again that wait."""
        with self._changed:
            self._count -= 1
            self._left += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def mark(self) -> Mark:
        """Return what to give to `wait` later."""
        with self._changed:
            return Mark(self._left, self._waiting)

    def turn(self, _: bool) -> AbstractContextManager[object]:
        """Return what only one of those holds that come from outside or try again."""
        return self._turn

    def wait(self, mark: Mark) -> bool:
        """Wait until one has left since `mark`; return False where there is none to leave."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over(mark) or self._count == 0)
            return self._left != mark.left and not self._is_closed

    def wait_inside(self, mark: Mark, leaving: Callable[[], int] | None = None) -> bool:
        """Wait as one of them: not if all others wait as well.

        `leaving` tells of what is on its way how many can be so at a time: where so many wait, the
        others cannot leave before them. What they had written meanwhile they have taken back, so
        that one of them tries once more while the others wait.
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
class RoomInside:
    """A Room for what lies in the work folder itself, and needs more of it.

    `leaving` tells how many images can be on their way at a time, for one that is so itself.
    """

    images: InFlight
    leaving: Callable[[], int] | None = None

    def mark(self) -> Mark:
        """Return what to give to `wait` later."""
        return self.images.mark()

    def turn(self, is_retry: bool) -> AbstractContextManager[object]:
        """Let several write at once as long as there is room."""
        return self.images.turn(True) if is_retry else nullcontext()

    def wait(self, mark: Mark) -> bool:
        """Wait until another image has left since `mark`."""
        return self.images.wait_inside(mark, self.leaving)


@dataclass(frozen=True)
class WorkRoom:
    """The files and the images of a run that lie in its work folder."""

    files: InFlight = field(default_factory=InFlight)
    images: InFlight = field(default_factory=InFlight)

    def close(self) -> None:
        """Let nobody wait any more."""
        self.files.close()
        self.images.close()

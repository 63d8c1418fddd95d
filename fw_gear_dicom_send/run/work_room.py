"""What lies in the work folder, and when something leaves it."""

from dataclasses import dataclass, field
from threading import Condition


class InFlight:
    """Counts things that lie in the work folder; is a Room for what lies outside.

    The mutable state is how many there are, how many have left, how many of those that there
    are wait for another one to leave, and whether nobody is to wait any more.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._changed = Condition()
        self._count = 0
        self._left = 0
        self._waiting = 0
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

    def mark(self) -> int:
        """Return what to give to `wait` later."""
        with self._changed:
            return self._left

    def wait(self, mark: int) -> bool:
        """Wait until one has left since `mark`; return False where there is none to leave."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over(mark) or self._count == 0)
            return self._left != mark and not self._is_closed

    def wait_inside(self, mark: int) -> bool:
        """Wait as one of them: not if all others wait as well."""
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_over(mark) or self._count <= self._waiting)
            self._waiting -= 1
            return self._left != mark and not self._is_closed

    def _is_over(self, mark: int) -> bool:
        return self._left != mark or self._is_closed


@dataclass(frozen=True)
class RoomInside:
    """A Room for what lies in the work folder itself, and needs more of it."""

    images: InFlight

    def mark(self) -> int:
        """Return what to give to `wait` later."""
        return self.images.mark()

    def wait(self, mark: int) -> bool:
        """Wait until another image has left since `mark`."""
        return self.images.wait_inside(mark)


@dataclass(frozen=True)
class WorkRoom:
    """The files and the images of a run that lie in its work folder."""

    files: InFlight = field(default_factory=InFlight)
    images: InFlight = field(default_factory=InFlight)

    def close(self) -> None:
        """Let nobody wait any more."""
        self.files.close()
        self.images.close()

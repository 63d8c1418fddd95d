"""Fetched file whose members are processed by several threads."""

from collections import Counter
from collections.abc import Callable, Iterator
from threading import Lock

from ..archive import Archive, Item, Member, Task
from ..dicom.types import MemberNumber
from ..models import FileEntry
from ..reasons import Kind, Reason, Skipped
from .downloads import Fetched
from .image import Image


class OpenFile:
    """A file that assigns each of its members to one thread.

    Images that find no space on disk are put off. A second reading of the file sends them. It
    does not count the other images again, but everything else. If the first reading was cut, the
    images after the cut remain unsent.

    The mutable state is the iterators with remaining members (the newest first), the number of
    members that are in progress, the images that are put off, those that the second reading has
    found, and the counts and errors of the file. It changes under the lock. A second lock lets one
    thread at a time take a member. While a thread unpacks the next member of a tar, the others can
    still finish theirs.
    """

    def __init__(
        self,
        fetched: Fetched,
        archive: Archive | None,
        first: "OpenFile | None" = None,
        picks: Callable[[int], bool] | None = None,
    ) -> None:
        """Read the members of `archive`, None if the file cannot be read.

        `first` is the first reading of a file that is read again. If `picks` is given, only members
        whose position it accepts are read.
        """
        self.fetched = fetched
        self.images: int = first.images if first else 0
        self.trouble: Reason | None = first.trouble if first else None
        self.skipped: Counter[Skipped] = first.skipped if first and not archive else Counter()
        self.put_off: dict[MemberNumber, Image] = first.put_off if first else {}
        self.is_again = first is not None
        self._found: set[MemberNumber] = set()
        self._skipped_before = first.skipped.total() if first else 0
        self._archive = archive
        self._iterators: list[Iterator[Task | Item]] = []
        if archive:
            tasks = archive.tasks()
            self._iterators.append(_picked(tasks, picks) if picks else tasks)
        self._taken = 0
        self._is_cut = False
        self._is_ended = False
        self._lock = Lock()
        self._turn = Lock()

    @property
    def entry(self) -> FileEntry:
        """Record of the file."""
        return self.fetched.entry

    @property
    def is_archive(self) -> bool:
        """Whether the file is a zip or a tar."""
        return self._archive is not None and self._archive.is_packed

    @property
    def has_members(self) -> bool:
        """Whether more members may follow."""
        return bool(self._iterators) and not self._is_cut

    def take(self) -> Task | Item | None:
        """Return the next member, or a task that unpacks it; call `done` after processing it.

        Return None if no member is left. Another thread may still add some.
        """
        with self._turn:
            while iterator := self._next_iterator():
                member = None
                try:
                    member = next(iterator, None)
                except OSError as exc:
                    self.cut(not_unpacked(exc))
                finally:
                    if member is None:
                        self.done()
                if member is not None:
                    return member
                with self._lock:
                    self._iterators.remove(iterator)
            return None

    def _next_iterator(self) -> Iterator[Task | Item] | None:
        """Count the next member and return the iterator that yields it."""
        with self._lock:
            if self._is_cut or not self._iterators:
                return None
            self._taken += 1
            return self._iterators[-1]

    def add(self, items: Iterator[Item]) -> None:
        """Add the items of a nested archive."""
        with self._lock:
            self._iterators.append(items)

    def add_image(self) -> None:
        """Count an image."""
        with self._lock:
            self.images += 1

    def skip(self, kind: Skipped) -> None:
        """Count a file without an image."""
        with self._lock:
            self.skipped[kind] += 1

    def cut(self, trouble: Reason) -> None:
        """Stop reading members because of `trouble`."""
        with self._lock:
            self.trouble = trouble
            self._is_cut = True

    def done(self) -> None:
        """Note that a member is processed and no longer in the work folder."""
        with self._lock:
            self._taken -= 1

    def unread(self) -> int | None:
        """Return the number of members that were not read, None if only reading would show it.

        Call this at the end of a run, as the members are dropped.
        """
        if self.is_again or not self.has_members:
            return 0
        # A thread that takes a member may wait for a slow disk.
        if not (self._archive and self._archive.is_listed and self._turn.acquire(blocking=False)):
            return None
        try:
            is_nested = len(self._iterators) > 1
            return None if is_nested else sum(1 for members in self._iterators for _ in members)
        finally:
            self._turn.release()

    def abandon(self) -> None:
        """Close the archive at the end of a run, unless a thread still reads it."""
        with self._lock:
            is_read = self._taken > 0
        if self._archive and not is_read:
            self._archive.close()

    def is_over(self) -> bool:
        """Close the archive and return True once, when all members are processed."""
        with self._lock:
            is_left = self._taken or (self._iterators and not self._is_cut)
            if is_left or self._is_ended:
                return False
            self._is_ended = True
        if self._archive:
            self._archive.close()
        return True

    def wants(self, number: MemberNumber) -> bool:
        """Return whether to send an image: in a second reading, only if it was put off.

        If a nested archive was put off, all its images were.
        """
        if not self.is_again:
            return True
        outer = int(str(number).partition(".")[0])
        numbers = {number, outer} & self.put_off.keys()
        self._found |= numbers
        return bool(numbers)

    def lost_images(self) -> list[Image]:
        """Return the images that were put off and not found in a second reading.

        A nested archive that was put off may turn out to be another file, which is skipped.
        """
        lost = [image for number, image in self.put_off.items() if number not in self._found]
        return lost[max(0, self.skipped.total() - self._skipped_before) if self.is_again else 0 :]


def _picked(tasks: Iterator[Task | Item], picks: Callable[[int], bool]) -> Iterator[Task | Item]:
    """Yield the members at some positions, and close the others."""
    for position, task in enumerate(tasks):
        if picks(position):
            yield task
        elif isinstance(task, Member):
            task.content.close()


def not_unpacked(error: OSError) -> Reason:
    """Return the reason for a file that cannot be unpacked to the work folder."""
    return Reason(Kind.NOT_UNPACKED, error.strerror or str(error))
